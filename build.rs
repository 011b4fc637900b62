//! Compiles the protos in pure Rust, so that neither `protoc` nor a C++ compiler is needed.

use std::{error::Error, fs, path::PathBuf};

use prost::Message as _;

const JELLY: &str = "src/rdf/jelly/rdf.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut protos = fs::read_dir("proto/dossier/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    protos.sort();
    let descriptors = protox::compile(&protos, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Reflection serves this very set.
    fs::write(out.join("dossier.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".dossier.v1.ImportRequest")
        .bytes(".dossier.v1.ExportResponse")
        // Measures requests by their names before it decodes them.
        .codec_path("crate::grpc::codec::Codec")
        .compile_fds_with_config(descriptors, {
            let mut config = tonic_prost_build::Config::new();
            config.enable_type_names();
            config
        })?;
    println!("cargo:rerun-if-changed={JELLY}");
    let quad = ".eu.ostrzyciel.jelly.core.proto.v1.RdfQuad";
    // As in triples, where the compiler needs it.
    tonic_prost_build::configure()
        .boxed(format!("{quad}.subject.s_triple_term"))
        .boxed(format!("{quad}.predicate.p_triple_term"))
        .boxed(format!("{quad}.object.o_triple_term"))
        .compile_fds(protox::compile([JELLY], ["src/rdf/jelly"])?)?;
    Ok(())
}
