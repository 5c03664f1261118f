//! Processes of this machine, as the kernel tells of them (`proc(5)`).

use std::path::Path;

/// When a process was started, as a number that another process of the same id does not have; `None` if there is none.
pub(crate) fn started(pid: u32) -> Option<u64> {
    let text = std::fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name may hold anything, so what follows its last `)` is counted: the 22nd field (proc_pid_stat(5)).
    let end = memchr::memrchr(b')', &text)?;
    let mut fields = text[end + 1..].split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let (state, started) = (fields.next()?, fields.nth(18)?);
    // One that nobody has waited for yet executes nothing, unless it is only the first of its threads that is over.
    let is_over = (state == b"Z" || state == b"X") && other_tasks(pid).next().is_none();
    if is_over { None } else { std::str::from_utf8(started).ok()?.parse().ok() }
}

/// Threads of a process beside its first.
pub(crate) fn other_tasks(pid: u32) -> impl Iterator<Item = u32> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"));
    let tasks = tasks.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    tasks.filter(move |&task| task != pid)
}
