//! What kustomize and Helm make of their sources.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::api_server::programs;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of one YAML document.
pub(crate) fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Objects by kind and name.
pub(crate) type Objects = BTreeMap<(String, String), Value>;

/// A stream of documents, no object twice.
pub(crate) fn objects(documents: &str) -> Objects {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(documents).unwrap_or_else(|error| panic!("{error}:\n{documents}"));
    let mut objects = Objects::new();
    for value in values.into_iter().filter(|value| !value.is_null()) {
        let word = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no object: {value}")).to_owned();
        let key = (word(&value["kind"]), word(&value["metadata"]["name"]));
        assert!(objects.insert(key.clone(), value).is_none(), "{key:?} twice");
    }
    objects
}

/// One object.
pub(crate) fn object<'a>(objects: &'a Objects, kind: &str, name: &str) -> &'a Value {
    objects.get(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}

/// The program of that name that `cargo xtask setup` made, else the machine's own.
fn program(name: &str) -> Option<PathBuf> {
    let made = programs().map(|folder| folder.join(name)).filter(|path| path.is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        made.or_else(|| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file()));
    assert!(found.is_some() || std::env::var_os("TELLTALE_TEST_KUBE").is_none(), "setup made no {name}");
    if found.is_none() {
        // Past the harness's capture, so that a skipped test is seen.
        let _ = writeln!(std::io::stderr(), "skipped: no {name}; `cargo xtask setup --for cluster` makes it");
    }
    found
}

/// What a folder of `deploy/kustomize` (or one anywhere, by its absolute path) says; `None` where there is no kubectl.
pub(crate) fn kustomize(folder: &str) -> Option<Objects> {
    let kubectl = program("kubectl")?;
    let folder = root().join("deploy/kustomize").join(folder);
    Some(objects(&said(Command::new(kubectl).arg("kustomize").arg(folder)).expect("it renders")))
}

/// Helm; `None` where it is not there.
pub(crate) struct Helm(PathBuf);

impl Helm {
    /// The program.
    pub(crate) fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
        FOUND.get_or_init(|| program("helm")).clone().map(Self)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        // Nobody's configuration, no cluster but one that a flag names.
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, env!("CARGO_TARGET_TMPDIR"));
        }
        command.env("KUBECONFIG", "/dev/null");
        command
    }

    /// Runs it on the chart.
    pub(crate) fn call(&self, words: &[&str], flags: &[&str]) -> Result<String, String> {
        said(self.command().args(words).arg(root().join("deploy/helm/telltale")).args(flags))
    }

    /// Removes a release from its namespace, which has the same name.
    pub(crate) fn uninstall(&self, release: &str, kubeconfig: &Path) {
        let flags = ["uninstall", release, "--namespace", release, "--kubeconfig"];
        said(self.command().args(flags).arg(kubeconfig)).unwrap_or_else(|said| panic!("{said}"));
    }

    /// The documents that it renders with these flags, or why it does not.
    pub(crate) fn template(&self, flags: &[&str]) -> Result<String, String> {
        self.call(&["template", "telltale"], &[&["--namespace", "telltale"], flags].concat())
    }

    /// The objects of that.
    pub(crate) fn objects(&self, flags: &[&str]) -> Objects {
        objects(&self.template(flags).unwrap_or_else(|said| panic!("{flags:?}: {said}")))
    }
}
