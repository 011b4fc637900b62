//! The prefixes that every request may use without declaring them.

/// Prefixes and the IRIs that they stand for, sorted by prefix.
pub const PREFIXES: [(&str, &str); 16] = [
    ("d", "https://w3id.org/dossier/ns#"),
    ("dcat", "http://www.w3.org/ns/dcat#"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("e", "https://w3id.org/dossier/e/"),
    ("g", "https://w3id.org/dossier/g/"),
    ("org", "http://www.w3.org/ns/org#"),
    ("owl", "http://www.w3.org/2002/07/owl#"),
    ("prov", "http://www.w3.org/ns/prov#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
    ("s", "https://w3id.org/dossier/s/"),
    ("schema", "http://schema.org/"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
    ("src", "https://w3id.org/dossier/src/"),
    ("void", "http://rdfs.org/ns/void#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// Returns the IRI that a prefix stands for.
pub fn namespace(prefix: &str) -> Option<&'static str> {
    PREFIXES
        .iter()
        .find(|(name, _)| *name == prefix)
        .map(|(_, iri)| *iri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_sorted_and_distinct() {
        assert!(PREFIXES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn namespaces_are_found_by_prefix() {
        assert_eq!(namespace("e"), Some("https://w3id.org/dossier/e/"));
        assert_eq!(namespace("E"), None);
        assert_eq!(namespace(""), None);
    }
}
