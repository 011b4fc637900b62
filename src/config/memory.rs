//! How much memory there is: what the container may use, else what the machine has.

use std::{fs, path::Path};

/// The memory there is taken to be where it cannot be learned.
const FALLBACK_BYTES: u64 = 8 << 30;
/// With less, all queries together could hardly sort anything.
pub(super) const QUERIES_BYTES_MIN: u64 = 1 << 20;
/// The least and the greatest default for requests, answers and differences on their way.
const PASSING_BYTES_MIN: u64 = 1 << 20;
const PASSING_BYTES_MAX: u64 = 256 << 20;

/// Returns half of the memory that this process may use, in bytes.
///
/// The other half is for the snapshot that a merge builds beside the old one, queries, and the cache of the log's file.
pub(super) fn default_graph_memory_bytes_max() -> u64 {
    available_bytes(Path::new("/")).unwrap_or(FALLBACK_BYTES) / 2
}

/// Returns a quarter of the memory that this process may use, in bytes: for all queries together.
pub(super) fn default_queries_memory_bytes_max() -> u64 {
    (available_bytes(Path::new("/")).unwrap_or(FALLBACK_BYTES) / 4).max(QUERIES_BYTES_MIN)
}

/// Returns 256 MiB, or an eighth of the memory that this process may use if that is less, in bytes: for what is passing through.
pub(super) fn default_passing_bytes_max() -> u64 {
    passing_bytes_max(available_bytes(Path::new("/")))
}

fn passing_bytes_max(available: Option<u64>) -> u64 {
    (available.unwrap_or(FALLBACK_BYTES) / 8).clamp(PASSING_BYTES_MIN, PASSING_BYTES_MAX)
}

/// Returns the least of the machine's memory and the limits of all control groups that this process is in.
fn available_bytes(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    groups
        .lines()
        .flat_map(|line| group_limits(root, line))
        .chain(machine_bytes(root))
        .min()
}

/// Returns the limits of one control group, a line of `/proc/self/cgroup`, and of those above it.
///
/// In a container the path may be the host's, and not be there; the limit of the container is then at the top.
fn group_limits(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (top, file) = if controllers.is_empty() {
        (root.join("sys/fs/cgroup"), "memory.max")
    } else if controllers.split(',').any(|controller| controller == "memory") {
        (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    Path::new(path.trim_start_matches('/'))
        .ancestors()
        .filter_map(|group| fs::read_to_string(top.join(group).join(file)).ok())
        // `max` (version 2) is no limit; version 1 writes a number past any machine's memory instead.
        .filter_map(|limit| limit.trim().parse().ok())
        .collect()
}

fn machine_bytes(root: &Path) -> Option<u64> {
    let info = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServeSettings;

    /// `files`: paths and contents under a root of its own.
    fn check(files: &[(&str, &str)], expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        assert_eq!(available_bytes(root.path()), expected, "{files:?}");
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       24684092 kB\nMemFree:        1 kB\n",
    );
    const MACHINE_BYTES: u64 = 24_684_092 * 1024;

    #[test]
    fn what_passes_through_has_an_eighth_at_most() {
        for (available, expected) in [
            (None, 256 << 20),
            (Some(16 << 30), 256 << 20),
            (Some(2 << 30), 256 << 20),
            (Some(512 << 20), 64 << 20),
            (Some(1), 1 << 20),
        ] {
            assert_eq!(passing_bytes_max(available), expected, "{available:?}");
        }
        let settings = ServeSettings::default();
        let here = default_passing_bytes_max();
        let connections = &settings.connections;
        assert_eq!(
            [
                settings.diff_memory_bytes_max,
                connections.answer_memory_bytes_max,
                connections.request_memory_bytes_max
            ],
            [here; 3]
        );
    }

    #[test]
    fn memory_is_the_least_limit() {
        check(&[], None);
        check(&[MACHINE], Some(MACHINE_BYTES));
        check(&[("proc/meminfo", "MemTotal: much\n")], None);
    }

    #[test]
    fn limits_of_control_groups_version_2_count() {
        let group = ("proc/self/cgroup", "0::/\n");
        check(
            &[MACHINE, group, ("sys/fs/cgroup/memory.max", "536870912\n")],
            Some(536_870_912),
        );
        check(
            &[MACHINE, group, ("sys/fs/cgroup/memory.max", "max\n")],
            Some(MACHINE_BYTES),
        );
        let group = ("proc/self/cgroup", "0::/system.slice/dossier.service\n");
        check(
            &[
                MACHINE,
                group,
                ("sys/fs/cgroup/system.slice/memory.max", "1000000\n"),
            ],
            Some(1_000_000),
        );
    }

    #[test]
    fn limits_of_control_groups_version_1_count() {
        let group = (
            "proc/self/cgroup",
            "5:cpu:/docker/ab\n4:memory:/docker/ab\n0::/\n",
        );
        let limit = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        check(&[MACHINE, group, (limit, "268435456\n")], Some(268_435_456));
        check(
            &[MACHINE, group, (limit, "9223372036854771712\n")],
            Some(MACHINE_BYTES),
        );
        check(
            &[
                MACHINE,
                group,
                ("sys/fs/cgroup/memory/docker/ab/memory.limit_in_bytes", "2097152"),
            ],
            Some(2_097_152),
        );
    }
}
