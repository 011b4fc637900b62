//! IRIs of the terms that the fact model uses (docs/architecture.md). Those of RDF and XSD are in `oxigraph::model::vocab`.

/// `rdfs:label`: the label of an entity.
pub const LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";
/// `skos:altLabel`: another name of an entity.
pub const ALT_LABEL: &str = "http://www.w3.org/2004/02/skos/core#altLabel";
/// `rdf:type`.
pub const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
/// `rdf:subject` of a statement.
pub const SUBJECT: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#subject";
/// `rdf:predicate` of a statement.
pub const PREDICATE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#predicate";
/// `rdf:object` of a statement.
pub const OBJECT: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#object";

/// `rdf:reifies`: what a reifier of RDF 1.2 is about.
pub const REIFIES: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies";

/// The graph of all statements.
pub const STATEMENTS: &str = "https://w3id.org/dossier/g/statements";
/// The graph of all sources.
pub const SOURCES: &str = "https://w3id.org/dossier/g/sources";
/// The graph of the triples that the truthy rule derives.
pub const DERIVED: &str = "https://w3id.org/dossier/g/derived";
/// The graph of what is said of the data set.
pub const META: &str = "https://w3id.org/dossier/g/meta";

/// `d:standing`: the editorial verdict.
pub const STANDING: &str = "https://w3id.org/dossier/ns#standing";
/// `d:stance`: how the source put it.
pub const STANCE: &str = "https://w3id.org/dossier/ns#stance";
/// `d:basis`: what it rests on.
pub const BASIS: &str = "https://w3id.org/dossier/ns#basis";
/// `d:negated`: whether the triple is denied.
pub const NEGATED: &str = "https://w3id.org/dossier/ns#negated";
/// `d:confidence`, from 0 to 1.
pub const CONFIDENCE: &str = "https://w3id.org/dossier/ns#confidence";
/// `d:attributedTo`: whose words the content is.
pub const ATTRIBUTED_TO: &str = "https://w3id.org/dossier/ns#attributedTo";
/// `d:edtf`: the valid time.
pub const EDTF: &str = "https://w3id.org/dossier/ns#edtf";
/// `d:validFrom`: the earliest possible first day.
pub const VALID_FROM: &str = "https://w3id.org/dossier/ns#validFrom";
/// `d:validUntil`: the day after the latest possible last day.
pub const VALID_UNTIL: &str = "https://w3id.org/dossier/ns#validUntil";
/// `d:observedOn`: a day on which the source says so.
pub const OBSERVED_ON: &str = "https://w3id.org/dossier/ns#observedOn";
/// `d:SomeValue`: an object that exists but is not known.
pub const SOME_VALUE: &str = "https://w3id.org/dossier/ns#SomeValue";
/// `d:closedFor`: a property of which every object that the subject has is recorded.
pub const CLOSED_FOR: &str = "https://w3id.org/dossier/ns#closedFor";
/// `d:referenceDate`: the day at which the truthy rule is applied.
pub const REFERENCE_DATE: &str = "https://w3id.org/dossier/ns#referenceDate";
/// `d:disputes`: a statement that this one contradicts.
pub const DISPUTES: &str = "https://w3id.org/dossier/ns#disputes";
/// `d:locator`: the place in the source.
pub const LOCATOR: &str = "https://w3id.org/dossier/ns#locator";

/// `schema:Event`.
pub const EVENT: &str = "http://schema.org/Event";
/// `schema:Claim`.
pub const CLAIM: &str = "http://schema.org/Claim";
/// `schema:Observation`: a figure.
pub const OBSERVATION: &str = "http://schema.org/Observation";
/// `d:actor` of an event.
pub const ACTOR: &str = "https://w3id.org/dossier/ns#actor";
/// `d:follows`: what was before an event.
pub const FOLLOWS: &str = "https://w3id.org/dossier/ns#follows";
/// `d:speaker` of a claim.
pub const SPEAKER: &str = "https://w3id.org/dossier/ns#speaker";
/// `schema:observationAbout`: what a figure is about.
pub const OBSERVATION_ABOUT: &str = "http://schema.org/observationAbout";
/// `schema:variableMeasured`: what a figure measures.
pub const VARIABLE_MEASURED: &str = "http://schema.org/variableMeasured";
/// `schema:unitText`: the unit of a figure.
pub const UNIT_TEXT: &str = "http://schema.org/unitText";
/// `schema:observationDate`: the day of a figure.
pub const OBSERVATION_DATE: &str = "http://schema.org/observationDate";
/// `schema:value` of a figure.
pub const VALUE: &str = "http://schema.org/value";
/// `schema:minValue`: the lower bound of a figure.
pub const MIN_VALUE: &str = "http://schema.org/minValue";
/// `schema:maxValue`: the upper bound of a figure.
pub const MAX_VALUE: &str = "http://schema.org/maxValue";
/// `d:content`: the statement that a claim puts forward.
pub const CONTENT: &str = "https://w3id.org/dossier/ns#content";

/// `prov:wasDerivedFrom`: the source.
pub const DERIVED_FROM: &str = "http://www.w3.org/ns/prov#wasDerivedFrom";
/// `prov:generatedAtTime`: when the statement was recorded.
pub const GENERATED_AT: &str = "http://www.w3.org/ns/prov#generatedAtTime";
/// `prov:invalidatedAtTime`: when the statement was retracted.
pub const INVALIDATED_AT: &str = "http://www.w3.org/ns/prov#invalidatedAtTime";
/// `prov:wasRevisionOf`: the statement that this one replaces.
pub const REVISION_OF: &str = "http://www.w3.org/ns/prov#wasRevisionOf";

/// `dcterms:title` of a source.
pub const TITLE: &str = "http://purl.org/dc/terms/title";
/// `dcterms:publisher` of a source.
pub const PUBLISHER: &str = "http://purl.org/dc/terms/publisher";

/// `d:Preferred`.
pub const PREFERRED: &str = "https://w3id.org/dossier/ns#Preferred";
/// `d:Accepted`.
pub const ACCEPTED: &str = "https://w3id.org/dossier/ns#Accepted";
/// `d:Unconfirmed`.
pub const UNCONFIRMED: &str = "https://w3id.org/dossier/ns#Unconfirmed";
/// `d:Disputed`.
pub const DISPUTED: &str = "https://w3id.org/dossier/ns#Disputed";
/// `d:Rejected`.
pub const REJECTED: &str = "https://w3id.org/dossier/ns#Rejected";
/// `d:Asserted`.
pub const ASSERTED: &str = "https://w3id.org/dossier/ns#Asserted";
/// `d:Attributed`.
pub const ATTRIBUTED: &str = "https://w3id.org/dossier/ns#Attributed";
/// `d:Reported`.
pub const REPORTED: &str = "https://w3id.org/dossier/ns#Reported";
/// `d:Planned`.
pub const PLANNED: &str = "https://w3id.org/dossier/ns#Planned";
/// `d:Projected`.
pub const PROJECTED: &str = "https://w3id.org/dossier/ns#Projected";
/// `d:Opinion`.
pub const OPINION: &str = "https://w3id.org/dossier/ns#Opinion";
/// `d:Stated`.
pub const STATED: &str = "https://w3id.org/dossier/ns#Stated";
/// `d:Inferred`.
pub const INFERRED: &str = "https://w3id.org/dossier/ns#Inferred";
/// `d:Background`.
pub const BACKGROUND: &str = "https://w3id.org/dossier/ns#Background";

/// `d:happenedOn`: the day of an event.
pub const HAPPENED_ON: &str = "https://w3id.org/dossier/ns#happenedOn";

/// `d:refines`: the statement that this one makes more precise.
pub const REFINES: &str = "https://w3id.org/dossier/ns#refines";
/// `owl:FunctionalProperty`: the class of properties that can have one value only.
pub const FUNCTIONAL_PROPERTY: &str = "http://www.w3.org/2002/07/owl#FunctionalProperty";

/// `rdfs:subPropertyOf`.
pub const SUB_PROPERTY_OF: &str = "http://www.w3.org/2000/01/rdf-schema#subPropertyOf";
/// `schema:identifier`: what identifies an entity; its subproperties say in which system.
pub const IDENTIFIER: &str = "http://schema.org/identifier";

/// `void:Dataset`: a set of data.
pub const DATA_SET: &str = "http://rdfs.org/ns/void#Dataset";
/// `dcterms:description`.
pub const DESCRIPTION: &str = "http://purl.org/dc/terms/description";
/// `dcterms:created`: the day that a data set was made on.
pub const CREATED: &str = "http://purl.org/dc/terms/created";
/// `dcterms:license` of a data set.
pub const LICENSE: &str = "http://purl.org/dc/terms/license";
/// `dcterms:source` of a data set.
pub const SOURCE: &str = "http://purl.org/dc/terms/source";
/// `dcterms:issued`: the day that a data set was published on.
pub const ISSUED: &str = "http://purl.org/dc/terms/issued";
/// `dcterms:rights`: what is said of the rights in a data set.
pub const RIGHTS: &str = "http://purl.org/dc/terms/rights";
/// `owl:versionInfo`: the version of a data set.
pub const VERSION_INFO: &str = "http://www.w3.org/2002/07/owl#versionInfo";
/// `d:attribution`: what those who show a data set are to name.
pub const ATTRIBUTION: &str = "https://w3id.org/dossier/ns#attribution";
