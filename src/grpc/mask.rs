//! Which parts of an entity to answer.

use prost_types::FieldMask;

use super::validate::Violations;
use crate::proto::v1;

/// Paths in one mask: more would repeat some.
const PATH_COUNT_MAX: usize = 100;

/// The parts that are wanted.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each part is wanted or not")]
pub(super) struct Mask {
    labels: bool,
    aliases: bool,
    types: bool,
    pub(super) facts: bool,
}

impl Mask {
    const ALL: Self = Self {
        labels: true,
        aliases: true,
        types: true,
        facts: true,
    };

    /// Reads a `read_mask`; an empty one asks for everything.
    pub(super) fn read(mask: Option<&FieldMask>, violations: &mut Violations) -> Self {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
            return Self::ALL;
        };
        let mut wanted = Self {
            labels: false,
            aliases: false,
            types: false,
            facts: false,
        };
        if mask.paths.len() > PATH_COUNT_MAX {
            violations.invalid("read_mask", format!("at most {PATH_COUNT_MAX} paths"));
            return wanted;
        }
        for (index, path) in mask.paths.iter().enumerate() {
            match path.as_str() {
                "labels" => wanted.labels = true,
                "aliases" => wanted.aliases = true,
                "types" => wanted.types = true,
                "facts" => wanted.facts = true,
                _ => violations.invalid(
                    &format!("read_mask.paths[{index}]"),
                    format!("`{path}` is none of labels, aliases, types, facts"),
                ),
            }
        }
        wanted
    }

    /// Takes out what is not wanted.
    pub(super) fn apply(self, mut entity: v1::Entity) -> v1::Entity {
        if !self.labels {
            entity.labels.clear();
        }
        if !self.aliases {
            entity.aliases.clear();
        }
        if !self.types {
            entity.types.clear();
        }
        entity
    }
}
