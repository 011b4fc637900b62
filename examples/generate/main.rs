//! Writes a made-up graph as N-Quads: the graph that the benchmarks run on.
//!
//! ```sh
//! cargo run --release --example generate -- --quads 1000000 --seed 1 > graph.nq
//! ```
//!
//! The graph has [`graph::QUADS_PER_ENTITY`] quads for each entity, all in the default graph: a type, a label, and nine facts
//! (three links to other entities; a date, an integer, a decimal, a double, a boolean; a text in Japanese). No quad
//! comes twice. The same seed and number of quads give the same bytes, on every machine.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use clap::Parser;

mod graph;

#[derive(Parser)]
#[command(about = "Writes a made-up graph as N-Quads to standard output")]
struct Arguments {
    /// Quads to write.
    #[arg(long, default_value_t = 1_000_000)]
    quads: u64,
    /// The same seed gives the same graph.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match graph::write_graph(&mut out, arguments.quads, arguments.seed).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write the graph: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::graph::*;

    fn graph(quads: u64, seed: u64) -> String {
        let mut out = Vec::new();
        write_graph(&mut out, quads, seed).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_exactly_as_many_distinct_quads_as_asked() {
        for quads in [0, 1, 10, 11, 12, 5_000] {
            let text = graph(quads, 1);
            let distinct: HashSet<_> = text.lines().collect();
            assert_eq!(distinct.len() as u64, quads);
            assert_eq!(text.lines().count() as u64, quads);
        }
    }

    #[test]
    fn every_quad_parses() {
        let text = graph(1_000, 7);
        let parser = oxigraph::io::RdfParser::from_format(oxigraph::io::RdfFormat::NQuads);
        assert_eq!(parser.for_slice(&text).map(Result::unwrap).count(), 1_000);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(graph(100, 1), graph(100, 1));
        assert_ne!(graph(100, 1), graph(100, 2));
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
