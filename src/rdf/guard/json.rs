//! JSON-LD: nesting, terms that are defined by terms, contexts that are copied, and objects that are kept.
//!
//! The parser copies the active context, whole, for each context inside of it and for each use of a term that has a context
//! of its own. Its work is the sum of the bytes that are copied, which has nothing to do with the size of the document.
//!
//! It also keeps each object until it is whole, for each object that it is in once more.

use super::{Fault, NESTING_MAX, TOO_DEEP};

/// Keys in one JSON-LD context, those in it included: the parser follows terms that are defined by other terms.
const KEY_COUNT_MAX: u32 = 5_000;
/// Bytes of contexts that are copied for a document: about a second's work.
pub(super) const COPIED_BYTES_MAX: u64 = 1 << 28;
/// A context that is null has an error for each protected term: so many times the work of a copy.
const COPIES_PER_NULL: u64 = 16;
/// Bytes that the parser keeps for a bracket, string, number or word, but for its text.
pub(super) const TOKEN_BYTES: u64 = 80;
/// Objects that a token may be in, on average: each is work for every token in it...
const OBJECTS_MEAN_MAX: u64 = 24;
/// ... but for this much of what is kept.
pub(super) const KEPT_BYTES_MIN: u64 = 1 << 27;
const CONTEXT: &[u8] = b"@context";

#[derive(Default)]
pub(super) struct Json {
    depth: u32,
    string: Option<JsonString>,
    /// The last string says `@context`.
    names_context: bool,
    /// The value that comes next is a context.
    is_context_next: bool,
    /// The last byte outside of strings, but for spaces.
    last: u8,
    /// The context that this is in.
    context: Option<Context>,
    /// The objects and arrays that this is in, but for those of contexts.
    frames: Vec<Frame>,
    /// The sums of the open frames.
    active_bytes: u64,
    copies_per_member: u64,
    copied_bytes: u64,
    /// Whether the open brackets are those of objects; and how many are.
    are_objects: Vec<bool>,
    object_count: u64,
    /// Memory that the parser takes for the outermost object; and that it would take if there were no objects in it.
    kept_bytes: u64,
    flat_bytes: u64,
}

/// A context that has begun.
struct Context {
    /// The depth inside.
    depth: u32,
    key_count: u32,
    bytes: u64,
    /// The depths inside of those contexts of terms that this is in.
    scopes: Vec<u32>,
    scope_count: u64,
    /// Contexts of terms in contexts of terms: all are looked at when the outer one is used.
    inner_scope_count: u64,
    null_count: u64,
}

/// An object or array.
#[derive(Default)]
struct Frame {
    /// The bytes of its context.
    bytes: u64,
    /// What each member could copy because of its context.
    copies_per_member: u64,
    /// Members and copies in it, at any depth, so far: its context may come after them.
    member_count: u64,
    copy_count: u64,
}

impl Json {
    /// Returns the memory that the parser takes for what it has not taken apart.
    pub(super) const fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    pub(super) fn next(&mut self, byte: u8) -> Fault {
        self.keep(1);
        if let Some(context) = &mut self.context {
            context.bytes += 1;
        }
        if let Some(string) = &mut self.string {
            if string.next(byte) {
                self.names_context = string.names_context();
                self.string = None;
            }
            return None;
        }
        if byte.is_ascii_whitespace() {
            return None;
        }
        let is_context = std::mem::take(&mut self.is_context_next);
        let last = std::mem::replace(&mut self.last, byte);
        let begins_word = !matches!(byte, b':' | b',') && matches!(last, b'[' | b'{' | b':' | b',' | 0);
        if begins_word || matches!(byte, b'}' | b']') {
            self.keep(TOKEN_BYTES);
        }
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                self.are_objects.push(byte == b'{');
                self.object_count += u64::from(byte == b'{');
                self.open(is_context);
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.are_objects.pop() == Some(true) {
                    self.object_count -= 1;
                }
                if self.object_count == 0 {
                    (self.kept_bytes, self.flat_bytes) = (0, 0);
                }
                self.close();
            }
            b':' => {
                self.is_context_next = std::mem::take(&mut self.names_context);
                if let Some(context) = &mut self.context {
                    context.key_count += 1;
                }
            }
            _ => self.other(byte, last, is_context),
        }
        if byte == b'"' {
            self.string = Some(JsonString::default());
        }
        if self.depth > NESTING_MAX {
            TOO_DEEP
        } else if self.kept_bytes
            > KEPT_BYTES_MIN.saturating_add(self.flat_bytes.saturating_mul(OBJECTS_MEAN_MAX))
        {
            Some("its objects are nested deeper than 24 levels on average")
        } else if self.copied_bytes > COPIED_BYTES_MAX {
            Some(
                "its contexts are too large for how often they are used: more than 268435456 bytes are copied",
            )
        } else if self
            .context
            .as_ref()
            .is_some_and(|context| context.key_count > KEY_COUNT_MAX)
        {
            Some("a context has more than 5000 keys")
        } else {
            None
        }
    }

    fn keep(&mut self, bytes: u64) {
        let kept = self.object_count * bytes;
        self.kept_bytes = self.kept_bytes.saturating_add(kept);
        self.flat_bytes = self.flat_bytes.saturating_add(kept.min(bytes));
    }

    fn open(&mut self, is_context: bool) {
        match &mut self.context {
            Some(context) if is_context => {
                context.scope();
                context.scopes.push(self.depth);
            }
            Some(_) => {}
            None if is_context => self.context = Some(Context::new(self.depth)),
            None => {
                self.member();
                self.frames.push(Frame::default());
            }
        }
    }

    fn close(&mut self) {
        let depth = self.depth;
        if let Some(context) = self.context.take_if(|context| context.depth > depth) {
            self.take(&context);
        } else if let Some(context) = &mut self.context {
            context.scopes.retain(|&inside| inside <= depth);
        } else if let Some(frame) = self.frames.pop() {
            self.active_bytes = self.active_bytes.saturating_sub(frame.bytes);
            self.copies_per_member = self.copies_per_member.saturating_sub(frame.copies_per_member);
            if let Some(parent) = self.frames.last_mut() {
                parent.member_count += frame.member_count;
                parent.copy_count = parent.copy_count.saturating_add(frame.copy_count);
            }
        }
    }

    fn other(&mut self, byte: u8, last: u8, is_context: bool) {
        match &mut self.context {
            Some(context) => {
                if is_context {
                    context.scope();
                }
                let is_null = byte == b'n' && (is_context || last == b'[' || last == b',');
                context.null_count += u64::from(is_null);
            }
            None if is_context => {
                let mut context = Context::new(self.depth);
                context.null_count = u64::from(byte == b'n');
                self.take(&context);
            }
            None if byte == b',' => self.member(),
            None => {}
        }
    }

    /// Counts a member of an object or array.
    fn member(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.member_count += 1;
        }
        self.copy(self.copies_per_member);
    }

    /// Counts copies of what is active.
    fn copy(&mut self, count: u64) {
        let bytes = self.active_bytes.saturating_mul(count);
        self.copied_bytes = self.copied_bytes.saturating_add(bytes);
        if let Some(frame) = self.frames.last_mut() {
            frame.copy_count = frame.copy_count.saturating_add(count);
        }
    }

    /// Takes a whole context as that of the last frame.
    fn take(&mut self, context: &Context) {
        let copies_per_null = context.null_count * COPIES_PER_NULL;
        let copies_per_member = match context.scope_count {
            0 => 0,
            _ => 1 + context.inner_scope_count + copies_per_null,
        };
        self.active_bytes = self.active_bytes.saturating_add(context.bytes);
        self.copies_per_member = self.copies_per_member.saturating_add(copies_per_member);
        let mut member_count = 0;
        if let Some(frame) = self.frames.last_mut() {
            frame.bytes = frame.bytes.saturating_add(context.bytes);
            frame.copies_per_member = frame.copies_per_member.saturating_add(copies_per_member);
            member_count = frame.member_count;
            let late = context.bytes.saturating_mul(frame.copy_count);
            self.copied_bytes = self.copied_bytes.saturating_add(late);
        }
        self.copy(1 + context.scope_count + copies_per_null);
        self.copy(member_count.saturating_mul(copies_per_member));
    }
}

impl Context {
    fn new(depth: u32) -> Self {
        Self {
            depth,
            key_count: 0,
            bytes: 1,
            scopes: Vec::new(),
            scope_count: 0,
            inner_scope_count: 0,
            null_count: 0,
        }
    }

    /// Counts a context of a term.
    fn scope(&mut self) {
        self.scope_count += 1;
        self.inner_scope_count += u64::from(!self.scopes.is_empty());
    }
}

/// How far a string is, and how much of [`CONTEXT`] it has said; `None` once it says something else.
struct JsonString {
    escape: Escape,
    said: Option<usize>,
}

#[derive(Clone, Copy)]
enum Escape {
    None,
    Begun,
    /// So many hexadecimal digits seen, and their value.
    Digits(u8, u32),
}

impl Default for JsonString {
    fn default() -> Self {
        Self {
            escape: Escape::None,
            said: Some(0),
        }
    }
}

impl JsonString {
    /// Takes a byte; true at the end.
    fn next(&mut self, byte: u8) -> bool {
        let mut character = None;
        self.escape = match self.escape {
            Escape::None if byte == b'"' => return true,
            Escape::None if byte == b'\\' => Escape::Begun,
            Escape::None => {
                character = Some(u32::from(byte));
                Escape::None
            }
            Escape::Begun if byte == b'u' => Escape::Digits(0, 0),
            // None of these stands for a letter of it.
            Escape::Begun => {
                self.said = None;
                Escape::None
            }
            Escape::Digits(count, value) => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let value = value << 4 | digit;
                if count == 3 {
                    character = Some(value);
                    Escape::None
                } else {
                    Escape::Digits(count + 1, value)
                }
            }
        };
        if let Some(character) = character {
            let is_right = |said: &usize| CONTEXT.get(*said).copied().map(u32::from) == Some(character);
            self.said = self.said.filter(is_right).map(|said| said + 1);
        }
        false
    }

    fn names_context(&self) -> bool {
        self.said == Some(CONTEXT.len())
    }
}
