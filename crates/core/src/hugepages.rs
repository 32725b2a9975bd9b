//! Large buffers on large pages.
//!
//! A buffer of a gigabyte on pages of 4 KiB costs 262,144 page faults, more than reading it costs. Where the system
//! gives large pages on request only (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`), they must be
//! asked for.

/// Asks for large pages under all that `buffer` has allocated. A hint: nothing changes but speed, and a system without
/// large pages ignores it.
///
/// To be called after each growth past some such pages.
pub fn prefer_large_pages(buffer: &mut Vec<u8>) {
    // Rounded outwards to whole pages: for an allocation of its own mapping, as malloc makes them of this size, that is
    // exactly the mapping. Advice on a part of it would split it, and then realloc could not move it without copying.
    let page = page_size();
    let start = buffer.as_mut_ptr() as usize / page * page;
    let end = (buffer.as_mut_ptr() as usize + buffer.capacity()).div_ceil(page) * page;
    #[expect(unsafe_code, reason = "madvise takes an address")]
    // SAFETY: MADV_HUGEPAGE changes no contents of any mapping; an address that is not mapped is refused.
    unsafe {
        libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE)
    };
}

fn page_size() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|size| usize::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contents_survive_the_request_and_growth() {
        let mut buffer = Vec::new();
        for round in 0..64_u8 {
            buffer.extend(std::iter::repeat_n(round, 1024 * 1024));
            prefer_large_pages(&mut buffer);
        }
        assert!(buffer.chunks(1024 * 1024).zip(0..).all(|(chunk, round)| chunk.iter().all(|byte| *byte == round)));
    }
}
