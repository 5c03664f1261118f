//! What no compiler checks about the files in the repository.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{exec, workspace};

/// Lock files that must not record where packages were downloaded from, and the words that would.
const DOWNLOADS: &[(&str, &str)] =
    &[("package-lock.json", "\"resolved\":"), ("uv.lock", "url = "), ("poetry.lock", "url = ")];

/// Checks every file that Git knows; names each finding.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let listing = exec::output(Command::new("git").current_dir(&root).args(["ls-files", "-z"]))?;
    let home = std::env::var("HOME").unwrap_or_default();
    // This machine's folders: nobody else has them. A home of `/` would be found everywhere.
    let folders: Vec<_> = [root.display().to_string(), home].into_iter().filter(|folder| folder.len() > 1).collect();

    let mut findings = Vec::new();
    for name in listing.split('\0').filter(|name| !name.is_empty()) {
        // Not text, or deleted and not yet committed.
        let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let at = format!("{name}:{}", number + 1);
            if let Some(folder) = folders.iter().find(|folder| line.contains(&format!("{folder}/"))) {
                findings.push(format!("{at}: a path of this machine ({folder})"));
            }
            if let Some((_, word)) = DOWNLOADS.iter().find(|(file, word)| name.ends_with(file) && line.contains(word)) {
                findings.push(format!("{at}: records a download address ({word})"));
            }
            if Path::new(name).extension().is_some_and(|extension| extension == "md") {
                let folder = root.join(name).parent().map(ToOwned::to_owned).unwrap_or_default();
                let broken = links(line).filter(|link| !folder.join(link).exists());
                findings.extend(broken.map(|link| format!("{at}: links to {link}, which is not there")));
            }
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// The relative files that a line of Markdown links to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split_once(')')?.0.split('#').next()?;
        let local = !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
        local.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::links;

    #[test]
    fn only_relative_links_are_files() {
        let line = "[a](docs/a.md#part) [b](https://example.com/x) [c](#here) and ![d](pictures/d.svg)";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md", "pictures/d.svg"]);
    }
}
