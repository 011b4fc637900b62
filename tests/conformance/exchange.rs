//! HTTP exchanges as manifests describe them (`ht:` and `cnt:` vocabularies).

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use http::{Request, Response, header};
use oxigraph::{
    io::{RdfFormat, RdfParser},
    model::{Graph, NamedNode, NamedOrBlankNode, NamedOrBlankNodeRef, Quad, Term},
    sparql::results::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput},
};

use crate::{
    compare,
    data::{BASE, graph_of},
    manifest::{MF, UT, items, name, object},
};

const HT: &str = "http://www.w3.org/2011/http#";
const CNT: &str = "http://www.w3.org/2011/content#";
const LOCATION: &str = "$LOCATION$";

/// A case: some requests on one server.
pub(crate) struct Case {
    /// The folder and the local name.
    pub(crate) id: String,
    /// Names of graphs, and the IRIs of the files that they hold at first.
    pub(crate) graphs: BTreeMap<String, String>,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and what is expected of its response.
pub(crate) struct Exchange {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    statuses: Vec<String>,
    boolean: Option<bool>,
    format: Option<String>,
    content_type: Option<String>,
    document: Option<String>,
}

/// Reads the cases of a manifest.
pub(crate) fn read(folder: &Path, manifest: &str) -> Vec<Case> {
    let graph = graph_of(folder, &format!("{BASE}{manifest}"));
    let entries = name(MF, "entries");
    let lists = graph.triples_for_predicate(entries.as_ref());
    let nodes = lists.flat_map(|triple| items(&graph, triple.object));
    let path = manifest.rsplit_once('/').unwrap().0;
    nodes.map(|node| case(&graph, path, &node)).collect()
}

fn case(graph: &Graph, path: &str, node: &Term) -> Case {
    let node = subject(node);
    let local = node.to_string();
    let local = local.trim_end_matches('>').rsplit('#').next().unwrap();
    let mut graphs = BTreeMap::new();
    let data = name(UT, "graphData");
    for data in graph.objects_for_subject_predicate(node.as_ref(), data.as_ref()) {
        let data = subject(&data.into());
        let label = oxigraph::model::vocab::rdfs::LABEL.into_owned();
        let file = object(graph, data.as_ref(), &name(UT, "graph")).unwrap();
        let Term::NamedNode(file) = file else {
            panic!("{file} is no file")
        };
        let label = text(graph, data.as_ref(), &label).unwrap();
        graphs.insert(label, file.into_string());
    }
    let action = object(graph, node.as_ref(), &name(MF, "action")).unwrap();
    let requests = list(graph, subject(&action).as_ref(), &name(HT, "requests"));
    Case {
        id: format!("{path}/{local}"),
        graphs,
        exchanges: requests.iter().map(|node| exchange(graph, node)).collect(),
    }
}

fn exchange(graph: &Graph, request: &Term) -> Exchange {
    let request = subject(request);
    let request = request.as_ref();
    let response = subject(&object(graph, request, &name(HT, "resp")).unwrap());
    let response = response.as_ref();
    let (body, encoding) = content(graph, request).unwrap_or_default();
    let body = match encoding.as_str() {
        // Bytes of ASCII, such as these are, are UTF-8 all the same.
        "UTF-16" => body.chars().flat_map(|c| ['\0', c]).collect(),
        _ => body,
    };
    let statuses = name(MF, "expectedStatus");
    let statuses = graph.objects_for_subject_predicate(response, statuses.as_ref());
    let headers_of = |node| {
        let headers = list(graph, node, &name(HT, "headers"));
        let pair = |header: &Term| {
            let header = subject(header);
            let field = |local| text(graph, header.as_ref(), &name(HT, local)).unwrap();
            (field("fieldName"), field("fieldValue"))
        };
        headers.iter().map(pair).collect::<Vec<_>>()
    };
    Exchange {
        method: text(graph, request, &name(HT, "methodName")).unwrap(),
        path: text(graph, request, &name(HT, "absolutePath")).unwrap(),
        headers: headers_of(request),
        body,
        statuses: statuses
            .map(|status| {
                status
                    .to_string()
                    .trim_end_matches('>')
                    .rsplit('#')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect(),
        boolean: text(graph, response, &name(MF, "expectedBoolean")).map(|text| text == "true"),
        format: text(graph, response, &name(MF, "expectedFormat")),
        content_type: headers_of(response)
            .into_iter()
            .find_map(|(name, value)| (name == "content-type").then_some(value)),
        document: content(graph, response).map(|(text, _)| text),
    }
}

/// Returns the text of a body and its encoding.
fn content(graph: &Graph, node: NamedOrBlankNodeRef<'_>) -> Option<(String, String)> {
    let body = subject(&object(graph, node, &name(HT, "body"))?);
    let field = |local| text(graph, body.as_ref(), &name(CNT, local)).unwrap();
    Some((field("chars"), field("characterEncoding")))
}

fn list(graph: &Graph, node: NamedOrBlankNodeRef<'_>, property: &NamedNode) -> Vec<Term> {
    object(graph, node, property).map_or_else(Vec::new, |list| items(graph, list.as_ref()))
}

fn text(graph: &Graph, node: NamedOrBlankNodeRef<'_>, property: &NamedNode) -> Option<String> {
    match object(graph, node, property)? {
        Term::Literal(literal) => Some(literal.value().to_owned()),
        other => panic!("{other} is no text"),
    }
}

fn subject(term: &Term) -> NamedOrBlankNode {
    match term {
        Term::NamedNode(node) => node.clone().into(),
        Term::BlankNode(node) => node.clone().into(),
        other => panic!("{other} is no subject"),
    }
}

impl Exchange {
    /// Returns the request, for a server whose graph store is at `/store`; `location` is what the last one gave.
    pub(crate) fn request(&self, location: &str) -> Request<String> {
        let path = self.path.replace(LOCATION, location);
        let path = match path.strip_prefix("/gsp") {
            Some(rest) => format!("/store{rest}"),
            None => path,
        };
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(path)
            .header(header::HOST, "www.example");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.replace(LOCATION, location)).unwrap()
    }

    /// Says what is wrong with a response.
    pub(crate) fn check(&self, response: &Response<Bytes>) -> Result<(), String> {
        let shown = format!("{} {}: {response:?}", self.method, self.path);
        let status = response.status().as_u16();
        let is_expected = self.statuses.iter().any(|expected| match expected.as_str() {
            "StatusCode2xx" => (200..300).contains(&status),
            "StatusCode3xx" => (300..400).contains(&status),
            "StatusCode4xx" => (400..500).contains(&status),
            "OK" => status == 200,
            "Created" => status == 201,
            "NoContent" => status == 204,
            "NotFound" => status == 404,
            other => panic!("{other} is no status"),
        });
        if !is_expected {
            return Err(format!("not {:?}: {shown}", self.statuses));
        }
        let content_type = content_type(response);
        if let Some(expected) = &self.content_type
            && essence(expected) != essence(&content_type)
        {
            return Err(format!("the type is not {expected}: {shown}"));
        }
        let is_right = match self.format.as_deref() {
            None => true,
            Some("boolean") => boolean(response).is_some(),
            Some("tabular") => QueryResultsFormat::from_media_type(&content_type).is_some(),
            Some("RDF") => quads(&content_type, response.body()).is_ok(),
            Some(other) => panic!("{other} is no format"),
        };
        if !is_right || (self.boolean.is_some() && boolean(response) != self.boolean) {
            return Err(format!("not {:?} {:?}: {shown}", self.format, self.boolean));
        }
        if let Some(document) = &self.document {
            let expected = quads(&content_type, document.as_bytes())?;
            let actual = quads(&content_type, response.body())?;
            if !compare::same_quads(actual.iter().map(Quad::as_ref), expected.iter().map(Quad::as_ref)) {
                return Err(format!("not {document}: {shown}"));
            }
        }
        Ok(())
    }
}

pub(crate) fn content_type(response: &Response<Bytes>) -> String {
    let value = response.headers().get(header::CONTENT_TYPE);
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn boolean(response: &Response<Bytes>) -> Option<bool> {
    let format = QueryResultsFormat::from_media_type(&content_type(response))?;
    match QueryResultsParser::from_format(format)
        .for_slice(response.body())
        .ok()?
    {
        SliceQueryResultsParserOutput::Boolean(answer) => Some(answer),
        SliceQueryResultsParserOutput::Solutions(_) => None,
    }
}

/// Reads a document of triples or quads.
pub(crate) fn quads(content_type: &str, document: &[u8]) -> Result<Vec<Quad>, String> {
    let format = RdfFormat::from_media_type(content_type).ok_or_else(|| content_type.to_owned())?;
    let parser = RdfParser::from_format(format).rename_blank_nodes();
    let quads: Result<_, _> = parser.for_slice(document).collect();
    quads.map_err(|error| error.to_string())
}
