#!/usr/bin/env bash
# Fills fuzz/corpus with the files of the W3C's RDF and SPARQL tests:
#
#   fuzz/seed.sh [FOLDER]     default: $DOSSIER_W3C_TESTS
set -euo pipefail

tests=${1:-${DOSSIER_W3C_TESTS:?the folder of the W3C tests}}
corpus=$(dirname "${BASH_SOURCE[0]}")/corpus
mkdir -p "$corpus"/{guard_parse,query,update,rdf_import}

# Small inputs are what a fuzzer works well with.
files() { find "$tests" -name "*.$1" -size -8k -print0; }
name() { sha256sum <"$1" | cut -c1-32; }

for extension in rq ru; do
    while IFS= read -r -d '' file; do
        cp "$file" "$corpus/guard_parse/$(name "$file")"
        if [[ $extension == rq ]]; then target=query; else target=update; fi
        cp "$file" "$corpus/$target/$(name "$file")"
    done < <(files "$extension")
done
# The first byte is the number of the format in fuzz_targets/rdf_import.rs, with the bit that sets a base IRI.
number=0
for extension in nt nq ttl trig rdf jsonld; do
    first=$(printf '\\x%02x' $((132 + number)))
    while IFS= read -r -d '' file; do
        { printf '%b' "$first"; cat "$file"; } >"$corpus/rdf_import/$(name "$file")"
    done < <(files "$extension")
    number=$((number + 1))
done
# The tests of SPARQL have few documents that are not Turtle.
printf '\x84<http://e/s> <http://e/p> <<( <http://e/s> <http://e/p> "o"@en--ltr )>> .' >"$corpus/rdf_import/nt"
printf '\x85<http://e/s> <http://e/p> _:b <http://e/g> .' >"$corpus/rdf_import/nq"
printf '\x87<http://e/g> { <http://e/s> <http://e/p> ( 1 [] ) {| <http://e/q> 2 |} }' >"$corpus/rdf_import/trig"
printf '\x89{"@context":{"p":{"@id":"http://e/p","@container":"@list"}},"@id":"http://e/s","p":[1,{"@value":"a","@language":"en"}]}' \
    >"$corpus/rdf_import/jsonld"
# A graph and a query are built of any bytes; of few there are no large ones.
mkdir -p "$corpus/differential"
for number in {1..200}; do
    head -c $((number * 2)) /dev/urandom >"$corpus/differential/random$number"
done
for target in "$corpus"/*; do
    printf '%s: %d inputs\n' "${target##*/}" "$(find "$target" -type f | wc -l)"
done
