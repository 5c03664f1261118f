//! Gives back memory that only the start of a capture needed.

/// What the kernel's types took, which the allocator would keep for ever: more than all else that the agent needs on its heap. And the pages of the
/// program's own code: most of what the start ran does not run again, and what does is mapped again from the page cache when it is called. A breakpoint
/// that a debugger set before is gone then.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointers and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    for (start, length) in code(&maps, &program.to_string_lossy()) {
        // SAFETY: the range is a private mapping of a file that cannot be written (`r-xp`), so none of its pages differs from the file, and each is the
        // same when it is mapped again (madvise(2), MADV_DONTNEED). It is mapped for as long as the process lives.
        unsafe {
            libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED);
        }
    }
}

/// The ranges of this program that hold code and cannot be written, as `proc_pid_maps(5)` lists them: start and length.
fn code<'a>(maps: &'a str, program: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
    maps.lines().filter_map(move |line| {
        // 55d0c8a00000-55d0c8b00000 r-xp 00100000 fe:00 1234      /usr/bin/telltale
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let is_code = fields.next() == Some("r-xp") && !program.is_empty() && line.ends_with(&format!(" {program}"));
        let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
        is_code.then_some(())?;
        Some((start?, end?.checked_sub(start?)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_itself_is_given_back() {
        let maps = "\
1000-2000 r--p 00000000 fe:00 7                  /bin/telltale
2000-6000 r-xp 00001000 fe:00 7                  /bin/telltale
6000-7000 r--p 00005000 fe:00 7                  /bin/telltale
7000-8000 rw-p 00006000 fe:00 7                  /bin/telltale
8000-9000 r-xp 00000000 fe:00 8                  /lib/libc.so.6
9000-a000 rwxp 00000000 00:00 0
a000-b000 r-xp 00000000 00:00 0                  [vdso]
";
        assert_eq!(code(maps, "/bin/telltale").collect::<Vec<_>>(), [(0x2000, 0x4000)]);
        assert_eq!(code(maps, "").count(), 0);
        give_back();
        // Code goes on to run.
        assert_eq!(code(maps, "/bin/telltale").count(), 1);
    }
}
