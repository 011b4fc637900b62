//! Room for what is large and read here and there, in large pages.

use std::mem::MaybeUninit;

/// Transparent huge pages are of this size on x86-64, and on arm64 with pages of 4 KiB.
#[cfg(target_os = "linux")]
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// Returns room for so many elements, in large pages if the system has some (transparent huge pages, madvise(2)): look-ups in a large
/// index spend half of their time finding its pages else.
pub(super) fn room<T>(count: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(count);
    ask_for_large_pages(room.spare_capacity_mut());
    room
}

/// Returns room for a text, as [`room`].
pub(super) fn text_room(bytes: usize) -> String {
    // Nothing is a text.
    String::from_utf8(room(bytes)).unwrap_or_default()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "madvise(2) has no safe form")]
fn ask_for_large_pages<T>(room: &mut [MaybeUninit<T>]) {
    use rustix::mm::{Advice, madvise};
    let range = room.as_mut_ptr_range();
    let start = range.start.addr().next_multiple_of(LARGE_PAGE_BYTES);
    let end = range.end.addr() / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    if start < end {
        let pages = range.start.with_addr(start).cast();
        // SAFETY: the pages are within memory that is lent to this function alone, and the advice changes nothing in them.
        // Where it is not taken the pages are small.
        let _ = unsafe { madvise(pages, end - start, Advice::LinuxHugepage) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<T>(_: &mut [MaybeUninit<T>]) {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::*;

    /// Returns what the kernel says of the memory in which something is (`proc_pid_smaps(5)`).
    fn flags_of(address: usize) -> String {
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_in = false;
        for line in smaps.lines() {
            if let Some((start, end)) = line.split(' ').next().and_then(|range| range.split_once('-'))
                && let (Ok(start), Ok(end)) =
                    (usize::from_str_radix(start, 16), usize::from_str_radix(end, 16))
            {
                is_in = (start..end).contains(&address);
            }
            if is_in && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.to_owned();
            }
        }
        panic!("there is nothing at {address:x}");
    }

    #[test]
    fn large_rooms_ask_for_large_pages() {
        let large = room::<[u32; 4]>(1 << 20);
        let middle = large.as_ptr().addr() + (8 << 20);
        assert!(large.is_empty() && large.capacity() >= 1 << 20);
        assert!(flags_of(middle).split(' ').any(|flag| flag == "hg"));
        assert!(text_room(1_000).capacity() >= 1_000 && room::<u8>(0).is_empty());
    }
}
