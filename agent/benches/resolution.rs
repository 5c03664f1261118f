//! What it costs to decide which policy holds where, and to look it up.

use std::{hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use telltale::policy::{
    attachment::{Candidate, Resolution},
    model::{Dialect, FieldPath, Policy, PolicyKey, Spec, TargetRef},
    objects::{Namespace, ObjectName, Objects},
    status::{NOT_OBSERVED, NodeReports, Nodes, statuses},
};

const PODS: usize = 2000;

/// As many policies, each for its own namespace; the pods are spread over all.
fn cluster(policies: usize) -> (Vec<Candidate>, Objects) {
    let mut objects = Objects::default();
    let candidates = (0..policies).map(|index| {
        let namespace = format!("ns-{index}");
        objects.namespaces.insert(namespace.clone(), Namespace::default());
        let target = TargetRef {
            at: FieldPath::new("spec"),
            group: String::new(),
            kind: "Namespace".to_owned(),
            name: namespace.clone(),
            namespace: None,
            section_name: None,
        };
        let key = PolicyKey { namespace, name: "p".to_owned(), dialect: Dialect::Gep };
        let policy = Policy { key, created: None, generation: 1, targets: vec![target], spec: Spec::default() };
        Candidate { policy, findings: Vec::new() }
    });
    let candidates = candidates.collect();
    for index in 0..PODS {
        objects
            .pods
            .insert(ObjectName::new(format!("ns-{}", index % policies), format!("pod-{index}")), Arc::default());
    }
    (candidates, objects)
}

/// So many nodes that follow all policies.
fn nodes(candidates: &[Candidate], nodes: usize) -> Nodes {
    let generations = candidates.iter().map(|candidate| (candidate.policy.key.clone(), candidate.policy.generation));
    let reports = NodeReports { generations: Arc::new(generations.collect()), ..NodeReports::default() };
    let names = (0..nodes).map(|node| format!("n{node}"));
    Nodes { ready: names.clone().collect(), reports: names.map(|node| (node, reports.clone())).collect() }
}

fn resolution(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resolution");
    for policies in [1, 1000] {
        let (candidates, objects) = cluster(policies);
        let resolution = Resolution::new(&candidates, &objects);
        let nodes = nodes(&candidates, 1);
        group.bench_function(BenchmarkId::new("resolve", policies), |bencher| {
            bencher.iter(|| Resolution::new(black_box(&candidates), &objects));
        });
        group.bench_function(BenchmarkId::new("pods", policies), |bencher| {
            bencher.iter(|| objects.pods.keys().filter_map(|pod| resolution.policy_of_pod(&objects, pod)).count());
        });
        group.bench_function(BenchmarkId::new("statuses", policies), |bencher| {
            bencher.iter(|| statuses(&candidates, &objects, &resolution, Some(&nodes), NOT_OBSERVED));
        });
    }
    let (candidates, objects) = cluster(1000);
    let (resolution, nodes) = (Resolution::new(&candidates, &objects), nodes(&candidates, 1000));
    group.bench_function(BenchmarkId::new("statuses of 1000 nodes", 1000), |bencher| {
        bencher.iter(|| statuses(&candidates, &objects, &resolution, Some(&nodes), NOT_OBSERVED));
    });
    group.finish();
}

criterion_group!(benches, resolution);
criterion_main!(benches);
