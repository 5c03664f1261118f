//! Pods that one test makes.

use serde_json::{Value, json};

use crate::cluster::Cluster;

/// What they run; see there for its arguments.
pub(crate) const PROGRAM: &str = include_str!("program.py");

/// Pods of the node, gone with this.
pub(crate) struct Pods<'a> {
    cluster: &'a Cluster,
    made: Vec<(String, String)>,
}

impl<'a> Pods<'a> {
    /// None yet.
    pub(crate) fn new(cluster: &'a Cluster) -> Self {
        Self { cluster, made: Vec::new() }
    }

    /// Starts one of one container, with the rest of its `spec`. An earlier one of this name is replaced.
    pub(crate) fn start(&mut self, namespace: &str, name: &str, mut container: Value, mut spec: Value) {
        self.made.push((namespace.to_owned(), name.to_owned()));
        self.delete(namespace, name);
        container["name"] = "app".into();
        container["image"] = "telltale.test/workload:1".into();
        spec["containers"] = json!([container]);
        spec["automountServiceAccountToken"] = false.into();
        spec["terminationGracePeriodSeconds"] = 0.into();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}, "spec": spec,
        });
        self.cluster.kubectl.apply(&pod.to_string());
    }

    fn delete(&self, namespace: &str, name: &str) {
        let arguments = ["delete", "pod", name, "--namespace", namespace, "--ignore-not-found", "--grace-period=0"];
        // In a drop nothing is to be done about it.
        let _ = self.cluster.kubectl.attempt(&[&arguments[..], &["--force"]].concat(), "");
    }
}

impl Drop for Pods<'_> {
    fn drop(&mut self) {
        for (namespace, name) in &self.made {
            self.delete(namespace, name);
        }
    }
}

/// The command line of [`PROGRAM`] with these arguments.
pub(crate) fn program(arguments: &[&str]) -> Value {
    json!([&["python3", "-c", PROGRAM][..], arguments].concat())
}
