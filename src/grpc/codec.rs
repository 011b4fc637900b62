//! How messages come off the wire. A request is measured before it is decoded: two bytes can be a message of hundreds.

use std::{collections::HashMap, marker::PhantomData, sync::LazyLock};

use bytes::Buf as _;
use prost::{
    Message, Name,
    encoding::{WireType, decode_varint},
};
use prost_types::{
    DescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use rustc_hash::FxHashMap;
use tonic::{
    Status,
    codec::{BufferSettings, DecodeBuf, Decoder},
};
use tonic_prost::{ProstDecoder, ProstEncoder};

use super::status::{malformed, message_too_large, overloaded};
use crate::{
    intake::{self, FULL},
    proto::v1,
};

/// What a request may take in memory beyond its text: 10,000 facts fit, each with three sources and three qualifiers.
const DECODED_BYTES_MAX: u64 = 64 << 20;
/// How deep prost follows messages in messages.
const DEPTH_MAX: u32 = 100;
/// A vector has room for twice what is in it.
const VECTOR_FACTOR: u64 = 2;
const TEXT_BYTES: u64 = size_of::<String>() as u64;
const NUMBER_BYTES: u64 = size_of::<Option<u64>>() as u64;
const POINTER_BYTES: u64 = size_of::<usize>() as u64;

/// prost's codec, but for requests, which may take so much memory.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Measuring<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Measuring {
            request: REQUESTS.by_name.get(U::NAME).copied(),
            decoder: ProstDecoder::default(),
        }
    }
}

/// Decodes messages, requests once they are measured.
#[derive(Debug)]
pub struct Measuring<U> {
    /// None for an answer, which a client decodes.
    request: Option<usize>,
    decoder: ProstDecoder<U>,
}

impl<U: Message + Default> Decoder for Measuring<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if let Some(request) = self.request {
            // All of the message: tonic has it in one piece.
            let message = buffer.chunk();
            let bytes_max = (DECODED_BYTES_MAX + message.len() as u64).min(intake::request_bytes_max());
            let bytes = REQUESTS
                .measure(request, message, bytes_max, 0)
                .ok_or_else(|| malformed("the message has groups, and no message here has any"))?;
            if bytes > bytes_max {
                return Err(message_too_large(format!(
                    "the message has so many parts that it would take more than {bytes_max} bytes of memory"
                )));
            }
            if !intake::take(bytes) {
                return Err(overloaded(FULL));
            }
        }
        self.decoder.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.decoder.buffer_settings()
    }
}

/// The messages of the package that are requests, and those in them.
static REQUESTS: LazyLock<Messages> = LazyLock::new(|| {
    // The build has made it: what cannot be read there is caught by every test of a call.
    let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap_or_default();
    Messages::of_requests(&set)
});

#[derive(Debug, Default)]
struct Messages {
    shapes: Vec<Shape>,
    /// Requests alone.
    by_name: FxHashMap<String, usize>,
}

/// What a message takes.
#[derive(Debug, Default)]
struct Shape {
    /// Of the value, without what it points to.
    bytes: u64,
    /// By their numbers.
    fields: FxHashMap<u64, Field>,
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Number,
    /// Text, or bytes.
    Text {
        is_many: bool,
    },
    /// The place of the message, and where prost puts it.
    Message(usize, Held),
}

#[derive(Clone, Copy, Debug)]
enum Held {
    /// In the value that has it.
    Inline,
    /// It can be in itself.
    Boxed,
    InVector,
}

impl Messages {
    fn of_requests(set: &FileDescriptorSet) -> Self {
        let mut descriptors = HashMap::new();
        for file in &set.file {
            let package = format!(".{}", file.package());
            for message in &file.message_type {
                collect(&package, message, &mut descriptors);
            }
        }
        let mut messages = Self::default();
        let mut places = HashMap::new();
        let services = set.file.iter().flat_map(|file| &file.service);
        for path in services
            .flat_map(|service| &service.method)
            .map(MethodDescriptorProto::input_type)
        {
            let place = messages.add(path, &descriptors, &mut places);
            let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
            messages.by_name.insert(name.to_owned(), place);
        }
        messages
    }

    /// Adds a message with all that can be in it, and returns its place.
    fn add<'a>(
        &mut self,
        path: &'a str,
        descriptors: &HashMap<String, &'a DescriptorProto>,
        places: &mut HashMap<&'a str, usize>,
    ) -> usize {
        if let Some(&place) = places.get(path) {
            return place;
        }
        let place = self.shapes.len();
        places.insert(path, place);
        self.shapes.push(Shape::default());
        let mut shape = Shape::default();
        // Of what only one can be there.
        let mut largest = HashMap::new();
        let descriptor = descriptors.get(path).copied();
        for field in descriptor.map_or(&[][..], |descriptor| &descriptor.field) {
            let is_many = field.label() == Label::Repeated;
            let (bytes, kind) = match field.r#type() {
                Type::String | Type::Bytes => (TEXT_BYTES, Field::Text { is_many }),
                Type::Message | Type::Group => {
                    let inner = self.add(field.type_name(), descriptors, places);
                    match self.bytes_of(inner) {
                        _ if is_many => (TEXT_BYTES, Field::Message(inner, Held::InVector)),
                        // Not known yet: this message is in that one.
                        0 => (POINTER_BYTES, Field::Message(inner, Held::Boxed)),
                        bytes => (bytes, Field::Message(inner, Held::Inline)),
                    }
                }
                _ if is_many => (TEXT_BYTES, Field::Number),
                _ => (NUMBER_BYTES, Field::Number),
            };
            match field.oneof_index {
                Some(index) => {
                    let largest: &mut u64 = largest.entry(index).or_default();
                    *largest = bytes.max(*largest);
                }
                None => shape.bytes += bytes,
            }
            shape
                .fields
                .insert(u64::from(field.number().unsigned_abs()), kind);
        }
        // With which of them it is.
        shape.bytes += largest.values().map(|bytes| bytes + POINTER_BYTES).sum::<u64>();
        shape.bytes = shape.bytes.max(NUMBER_BYTES);
        if let Some(known) = self.shapes.get_mut(place) {
            *known = shape;
        }
        place
    }

    fn bytes_of(&self, place: usize) -> u64 {
        self.shapes.get(place).map_or(0, |shape| shape.bytes)
    }

    /// Returns what the parts of a message take besides the message itself; once that is more than `bytes_max`, no matter how
    /// much. Where the bytes are none of a message it stops: there prost says so. None for groups, which prost skips: none of
    /// our messages has them.
    fn measure(&self, place: usize, mut message: &[u8], bytes_max: u64, depth: u32) -> Option<u64> {
        let mut bytes = 0_u64;
        let Some(shape) = self.shapes.get(place).filter(|_| depth < DEPTH_MAX) else {
            return Some(0);
        };
        while !message.is_empty() && bytes <= bytes_max {
            let (number, content) = match next_field(&mut message) {
                Next::Field(number, content) => (number, content),
                Next::Malformed => break,
                Next::Group => return None,
            };
            bytes += match (shape.fields.get(&number), content) {
                (Some(Field::Number), None) => VECTOR_FACTOR * NUMBER_BYTES,
                // Packed: each of them has a byte at least.
                (Some(Field::Number), Some(packed)) => VECTOR_FACTOR * NUMBER_BYTES * packed.len() as u64,
                (Some(Field::Text { is_many }), Some(text)) => {
                    text.len() as u64 + if *is_many { VECTOR_FACTOR * TEXT_BYTES } else { 0 }
                }
                (Some(&Field::Message(inner, held)), Some(content)) => {
                    let own_bytes = match held {
                        Held::Inline => 0,
                        Held::Boxed => self.bytes_of(inner),
                        Held::InVector => VECTOR_FACTOR * self.bytes_of(inner),
                    };
                    own_bytes + self.measure(inner, content, bytes_max.saturating_sub(bytes), depth + 1)?
                }
                _ => 0,
            };
        }
        Some(bytes)
    }
}

/// Finds messages by their paths, those in others too.
fn collect<'a>(
    outer: &str,
    message: &'a DescriptorProto,
    descriptors: &mut HashMap<String, &'a DescriptorProto>,
) {
    let path = format!("{outer}.{}", message.name());
    for inner in &message.nested_type {
        collect(&path, inner, descriptors);
    }
    descriptors.insert(path, message);
}

/// What a message goes on with.
enum Next<'a> {
    /// The number of a field, and its content where that has a length.
    Field(u64, Option<&'a [u8]>),
    Group,
    Malformed,
}

/// Takes a field off a message.
fn next_field<'a>(message: &mut &'a [u8]) -> Next<'a> {
    let mut field = || {
        let tag = decode_varint(message).ok()?;
        let length = match WireType::try_from(tag & 7).ok()? {
            WireType::StartGroup | WireType::EndGroup => return Some(Next::Group),
            WireType::Varint => {
                decode_varint(message).ok()?;
                return Some(Next::Field(tag >> 3, None));
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => usize::try_from(decode_varint(message).ok()?).ok()?,
        };
        let (content, rest) = message.split_at_checked(length)?;
        *message = rest;
        let has_length = tag & 7 == WireType::LengthDelimited as u64;
        Some(Next::Field(tag >> 3, has_length.then_some(content)))
    };
    field().unwrap_or(Next::Malformed)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tonic::Code;

    use super::*;
    use crate::intake::Intake;

    fn measured(name: &str, message: &[u8]) -> u64 {
        let measured = REQUESTS.measure(REQUESTS.by_name[name], message, u64::MAX, 0);
        measured.unwrap()
    }

    /// Some facts that are all alike.
    fn facts(count: usize, fact: v1::Fact) -> Vec<u8> {
        let facts = vec![fact; count];
        v1::WriteFactsRequest {
            facts,
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn iri(text: &str) -> v1::Term {
        let term = Some(v1::term::Term::Iri(text.into()));
        v1::Term { term }
    }

    /// A fact with all that most facts have.
    fn whole_fact() -> v1::Fact {
        let source = v1::Source {
            iri: "http://example.com/source".into(),
            ..Default::default()
        };
        let qualifier = v1::Qualifier {
            property: "http://example.com/qualifier".into(),
            value: Some(iri("http://example.com/value")),
        };
        v1::Fact {
            subject: "http://example.com/subject".into(),
            predicate: "http://example.com/predicate".into(),
            object: Some(iri("http://example.com/object")),
            sources: vec![source; 3],
            qualifiers: vec![qualifier; 3],
            ..Default::default()
        }
    }

    async fn decode(message: &[u8], memory_bytes_max: u64) -> Result<v1::WriteFactsRequest, Code> {
        let body = [
            &[0],
            &u32::try_from(message.len()).unwrap().to_be_bytes()[..],
            message,
        ]
        .concat();
        let decoder = tonic::codec::Codec::decoder(&mut Codec::<(), v1::WriteFactsRequest>::default());
        let body = http_body_util::Full::<bytes::Bytes>::from(body);
        let mut stream = tonic::Streaming::new_request(decoder, body, None, Some(16 << 20));
        let held = Intake::new(std::time::Duration::ZERO, memory_bytes_max).hold();
        let message = held.during(stream.message()).await;
        message.map(Option::unwrap).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn few_bytes_that_are_many_messages_are_refused() {
        let many = facts(300_000, v1::Fact::default());
        assert_eq!(many.len(), 600_000);
        assert_eq!(decode(&many, u64::MAX).await, Err(Code::ResourceExhausted));
        let qualified = v1::Fact {
            qualifiers: vec![v1::Qualifier::default(); 300_000],
            ..Default::default()
        };
        assert_eq!(
            decode(&facts(1, qualified), u64::MAX).await,
            Err(Code::ResourceExhausted)
        );
        // A group of a field that there is not, which prost skips.
        let behind_a_group = [&b"\xfb\x07\xfc\x07"[..], &many].concat();
        assert_eq!(
            decode(&behind_a_group, u64::MAX).await,
            Err(Code::InvalidArgument)
        );
        let most = facts(10_000, whole_fact());
        assert!(measured("WriteFactsRequest", &most) < DECODED_BYTES_MAX);
        assert_eq!(decode(&most, u64::MAX).await.unwrap().facts.len(), 10_000);
        assert_eq!(decode(&most, 1 << 20).await, Err(Code::ResourceExhausted));
    }

    #[test]
    fn no_message_takes_more_than_is_measured() {
        let of_fact = measured("WriteFactsRequest", &facts(1, v1::Fact::default()));
        assert!(of_fact >= size_of::<v1::Fact>() as u64, "{of_fact}");
        let nested = (0..50).fold(iri("http://example.com/inner"), |term, _| {
            let triple = v1::TripleTerm {
                subject: Some(Box::new(term)),
                ..Default::default()
            };
            let term = Some(v1::term::Term::Triple(Box::new(triple)));
            v1::Term { term }
        });
        let nested = v1::CheckFactRequest {
            object: Some(nested),
            ..Default::default()
        };
        let bytes = measured("CheckFactRequest", &nested.encode_to_vec());
        assert!(bytes >= 50 * size_of::<v1::TripleTerm>() as u64, "{bytes}");
        // Every request is known, and what is none ends the measuring.
        for name in REQUESTS.by_name.keys() {
            assert_eq!(measured(name, b""), 0);
            assert_eq!(measured(name, b"\x0a\xff"), 0);
        }
        assert!(
            REQUESTS.by_name.contains_key("QueryRequest") && !REQUESTS.by_name.contains_key("QueryResponse")
        );
    }
}
