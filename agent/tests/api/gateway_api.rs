//! Our definition in the Gateway API's own group, beside the real definitions of the Gateway API and the admission policy that guards them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    api_server::ApiServer,
    definitions::{DIALECTS, define, deployed},
};

/// The folder of its Go module, at the version that `xtask/kube/gateway-api` names. `cargo xtask setup` fetches it.
fn module() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/kube/gateway-api");
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", "sigs.k8s.io/gateway-api"]).current_dir(folder);
    let output = command.output().expect("there is Go; `cargo xtask setup` installs it");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    PathBuf::from(said["Dir"].as_str().unwrap_or_else(|| panic!("no module: {said}")))
}

/// All documents of one channel: `standard` or `experimental`.
fn channel(name: &str) -> String {
    let folder = module().join("config/crd").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = files.map(|entry| entry.unwrap().path());
    let documents = paths.filter(|path| path.file_name().is_some_and(|name| name != "kustomization.yaml"));
    documents.map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>().join("\n---\n")
}

#[test]
fn ours_is_created_and_updated_beside_the_real_ones() {
    for name in ["standard", "experimental"] {
        let Some(server) = ApiServer::start() else { return };
        let kubectl = server.kubectl();
        kubectl.apply(&channel(name));
        let (file, resource, _) = DIALECTS[0];
        let ours = deployed(&format!("crds/{file}"));
        // The admission policy takes effect a moment after it was written; then it refuses what does not say which bundle it is of.
        let unmarked: String =
            ours.lines().filter(|line| !line.contains("/bundle-version:")).flat_map(|line| [line, "\n"]).collect();
        let attempt = ["apply", "--server-side", "--dry-run=server", "--filename", "-"];
        let mut refused = kubectl.attempt(&attempt, &unmarked);
        for _ in 0..300 {
            if refused.is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            refused = kubectl.attempt(&attempt, &unmarked);
        }
        let said = refused.expect_err("the admission policy refuses what has no mark");
        assert!(said.contains("safe-upgrades.gateway.networking.k8s.io"), "{said}");

        define(kubectl, file, resource);
        let description = "What is observed, and where it goes.";
        assert!(ours.contains(description));
        kubectl.apply(&ours.replace(description, "Changed."));
        let explained = kubectl.until(&["explain", &format!("{resource}.spec")], |said| said.contains("Changed."));
        assert!(explained.contains("accessLogs"), "{explained}");
        // Theirs are served as before.
        kubectl.run(&["get", "gateways.gateway.networking.k8s.io,httproutes", "--all-namespaces"]);
    }
}
