//! Targets, permissions and precedence, rule by rule, and that the order of the input decides nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::policy::{
    model::{Dialect, GEP_GROUP, PROPOSAL_GROUP, PolicyKey, TargetRef},
    objects::{ObjectName, Objects},
    testing::{cluster, created, grant, invalid, policy, target},
};

fn only_verdict(candidate: Candidate, objects: &Objects) -> Verdict {
    Resolution::new(&[candidate], objects).verdicts(PolicyIndex(0))[0].clone()
}

fn pod(name: &str) -> ObjectName {
    ObjectName::new("shop", name)
}

#[test]
fn a_namespace_and_a_gateway_are_targets_and_nothing_else_is() {
    let objects = cluster();
    let shop = Target::Namespace("shop".to_owned());
    assert_eq!(only_verdict(policy("shop", "p", vec![target("Namespace", "shop")]), &objects), Verdict::Accepted(shop));
    let edge = Target::Gateway(ObjectName::new("shop", "edge"));
    assert_eq!(only_verdict(policy("shop", "p", vec![target("Gateway", "edge")]), &objects), Verdict::Accepted(edge));
    let wrong_group = TargetRef { group: "apps".to_owned(), ..target("Namespace", "shop") };
    for reference in [target("Service", "shop"), target("HTTPRoute", "shop"), wrong_group] {
        let verdict = only_verdict(policy("shop", "p", vec![reference.clone()]), &objects);
        assert_eq!(verdict, Verdict::Invalid(TargetFault::Kind { group: reference.group, kind: reference.kind }));
    }
}

#[test]
fn a_section_and_a_namespace_of_a_namespace_are_refused() {
    let objects = cluster();
    let section = TargetRef { section_name: Some("http".to_owned()), ..target("Gateway", "edge") };
    let verdict = only_verdict(policy("shop", "p", vec![section]), &objects);
    assert_eq!(verdict, Verdict::Invalid(TargetFault::SectionName("http".to_owned())));

    let with = |namespace: &str| TargetRef { namespace: Some(namespace.to_owned()), ..target("Namespace", "shop") };
    assert!(matches!(only_verdict(policy("shop", "p", vec![with("shop")]), &objects), Verdict::Accepted(_)));
    let verdict = only_verdict(policy("shop", "p", vec![with("ops")]), &objects);
    assert!(matches!(verdict, Verdict::Invalid(TargetFault::NamespaceOfNamespace { .. })), "{verdict:?}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let objects = cluster();
    let nowhere = Target::Namespace("nowhere".to_owned());
    for namespace in ["shop", "nowhere"] {
        let verdict = only_verdict(policy(namespace, "p", vec![target("Namespace", "nowhere")]), &objects);
        assert_eq!(verdict, Verdict::TargetNotFound(nowhere.clone()));
    }
    let verdict = only_verdict(policy("shop", "p", vec![target("Gateway", "back")]), &objects);
    assert_eq!(verdict, Verdict::TargetNotFound(Target::Gateway(ObjectName::new("shop", "back"))));
}

#[test]
fn a_namespace_is_known_by_what_is_in_it() {
    let mut objects = cluster();
    objects.namespaces.clear();
    let verdict = only_verdict(policy("shop", "p", vec![target("Namespace", "shop")]), &objects);
    assert_eq!(verdict, Verdict::Accepted(Target::Namespace("shop".to_owned())));
}

#[test]
fn another_namespace_needs_a_grant_there() {
    let candidate = || policy("ops", "p", vec![target("Namespace", "shop")]);
    let refused =
        Verdict::Invalid(TargetFault::NotGranted { from: "ops".to_owned(), to: "shop".to_owned(), kind: "Namespace" });
    for (why, grants) in [
        ("none", vec![]),
        ("from another namespace", vec![grant(GEP_GROUP, "other", "shop", "Namespace", None)]),
        ("of another namespace", vec![grant(GEP_GROUP, "ops", "ops", "Namespace", None)]),
        ("for another group", vec![grant("example.com", "ops", "shop", "Namespace", None)]),
        ("to another kind", vec![grant(GEP_GROUP, "ops", "shop", "Gateway", None)]),
        ("to another name", vec![grant(GEP_GROUP, "ops", "shop", "Namespace", Some("other"))]),
        (
            "of two halves",
            vec![
                grant(GEP_GROUP, "other", "shop", "Namespace", None),
                grant(GEP_GROUP, "ops", "shop", "Gateway", None),
            ],
        ),
    ] {
        assert_eq!(only_verdict(candidate(), &Objects { grants, ..cluster() }), refused, "grant {why}");
    }
    // Either group opens to both dialects.
    for (group, name) in [(GEP_GROUP, None), (PROPOSAL_GROUP, None), (GEP_GROUP, Some("shop"))] {
        let grants = vec![grant(group, "ops", "shop", "Namespace", name)];
        let verdict = only_verdict(candidate(), &Objects { grants, ..cluster() });
        assert_eq!(verdict, Verdict::Accepted(Target::Namespace("shop".to_owned())));
    }
}

#[test]
fn without_a_grant_nothing_is_said_about_what_is_there() {
    let reference = |name: &str| TargetRef { namespace: Some("shop".to_owned()), ..target("Gateway", name) };
    let verdict = |name| only_verdict(policy("ops", "p", vec![reference(name)]), &cluster());
    assert_eq!(verdict("edge"), verdict("no-such-gateway"));
    let grants = vec![grant(GEP_GROUP, "ops", "shop", "Gateway", None)];
    let granted = Objects { grants, ..cluster() };
    let edge = Target::Gateway(ObjectName::new("shop", "edge"));
    assert_eq!(only_verdict(policy("ops", "p", vec![reference("edge")]), &granted), Verdict::Accepted(edge));
}

/// The names of the policies for `shop`, from the one that holds to the one that would hold last.
fn precedence(mut candidates: Vec<Candidate>) -> Vec<String> {
    let objects = cluster();
    let mut names = Vec::new();
    while let Some(winner) = Resolution::new(&candidates, &objects).policy_of_namespace("shop") {
        names.push(candidates.remove(winner.0).policy.key.name);
    }
    names
}

#[test]
fn the_oldest_holds_then_the_first_name_and_no_timestamp_is_newest() {
    let shop = |name: &str| policy("shop", name, vec![target("Namespace", "shop")]);
    let candidates = vec![shop("a"), created(shop("c"), 20), created(shop("b"), 20), created(shop("z"), 10), shop("B")];
    assert_eq!(precedence(candidates), ["z", "b", "c", "B", "a"]);
}

#[test]
fn names_are_compared_as_one_text_and_then_the_api_version() {
    let keys = |namespace: &str, name: &str, dialect| PolicyKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dialect,
    };
    let sorted = [
        keys("shop-eu", "a", Dialect::Gep),
        keys("shop", "a", Dialect::Proposal),
        keys("shop", "a", Dialect::Gep),
        keys("shop", "b", Dialect::Proposal),
    ];
    assert!(sorted.is_sorted());
}

#[test]
fn an_invalid_policy_shadows_nothing() {
    let shop = |name: &str| policy("shop", name, vec![target("Namespace", "shop")]);
    let candidates = [invalid(created(shop("old"), 10)), created(shop("new"), 20)];
    let resolution = Resolution::new(&candidates, &cluster());
    assert_eq!(resolution.verdicts(PolicyIndex(0)), [Verdict::Invalid(TargetFault::Policy)]);
    assert_eq!(resolution.policy_of_namespace("shop"), Some(PolicyIndex(1)));
    assert_eq!(resolution.first_valid(), Some(PolicyIndex(1)));
}

#[test]
fn each_target_is_decided_by_itself() {
    let old = created(policy("shop", "old", vec![target("Gateway", "edge")]), 10);
    let new = created(
        policy(
            "shop",
            "new",
            vec![
                target("Gateway", "edge"),
                target("Namespace", "shop"),
                target("HTTPRoute", "r"),
                target("Namespace", "shop"),
            ],
        ),
        20,
    );
    let resolution = Resolution::new(&[new, old], &cluster());
    let shop = Verdict::Accepted(Target::Namespace("shop".to_owned()));
    let edge = Target::Gateway(ObjectName::new("shop", "edge"));
    assert_eq!(
        resolution.verdicts(PolicyIndex(0)),
        [
            Verdict::Conflicted { target: edge, winner: PolicyIndex(1) },
            shop.clone(),
            Verdict::Invalid(TargetFault::Kind { group: String::new(), kind: "HTTPRoute".to_owned() }),
            // Named twice: it does not conflict with itself.
            shop,
        ]
    );
}

#[test]
fn a_pod_of_a_gateway_follows_its_policy_and_else_its_namespaces() {
    let objects = cluster();
    let namespace = policy("shop", "ns", vec![target("Namespace", "shop")]);
    let gateway = policy("shop", "gw", vec![target("Gateway", "edge")]);
    let both = [namespace.clone(), gateway.clone()];
    let resolution = Resolution::new(&both, &objects);
    assert_eq!(resolution.policy_of_pod(&objects, &pod("cart-1")), Some(PolicyIndex(0)));
    assert_eq!(resolution.policy_of_pod(&objects, &pod("edge-1")), Some(PolicyIndex(1)));
    assert_eq!(resolution.policy_of_pod(&objects, &pod("not-known")), Some(PolicyIndex(0)));
    assert_eq!(resolution.policy_of_pod(&objects, &ObjectName::new("ops", "x")), None);
    let coverage = &resolution.coverage(&objects)["shop"];
    assert_eq!((coverage.pods, coverage.overridden_pods()), (2, 1));

    let fallback = [namespace, invalid(gateway)];
    let resolution = Resolution::new(&fallback, &objects);
    assert_eq!(resolution.policy_of_pod(&objects, &pod("edge-1")), Some(PolicyIndex(0)));
    assert_eq!(resolution.coverage(&objects)["shop"].overridden_pods(), 0);
}

#[test]
fn how_each_policy_stands_to_a_pod() {
    let objects = cluster();
    let candidates = [
        created(policy("shop", "ns", vec![target("Namespace", "shop")]), 1),
        created(policy("shop", "gw", vec![target("Gateway", "edge")]), 1),
        created(policy("shop", "late", vec![target("Namespace", "shop")]), 2),
        invalid(policy("shop", "bad", vec![target("Namespace", "shop")])),
        policy("ops", "elsewhere", vec![target("Namespace", "ops")]),
        policy("ops", "refused", vec![target("Namespace", "shop")]),
    ];
    let resolution = Resolution::new(&candidates, &objects);
    let standings = |subject: Subject| -> Vec<Standing> {
        (0..candidates.len())
            .map(|index| resolution.standing(&candidates, &objects, &subject, PolicyIndex(index)))
            .collect()
    };
    let shop = Target::Namespace("shop".to_owned());
    let edge = Target::Gateway(ObjectName::new("shop", "edge"));
    let edge_pod = standings(Subject::Pod(pod("edge-1")));
    assert_eq!(edge_pod[0], Standing::Overridden { by: PolicyIndex(1), gateway: edge.clone() });
    assert_eq!(edge_pod[1], Standing::Applies(edge));
    assert_eq!(edge_pod[2], Standing::Conflicted { target: shop.clone(), winner: PolicyIndex(0) });
    assert_eq!(edge_pod[3..5], [Standing::Invalid, Standing::Elsewhere]);
    assert!(matches!(edge_pod[5], Standing::BadTarget(TargetFault::NotGranted { .. })), "{:?}", edge_pod[5]);

    let cart = standings(Subject::Pod(pod("cart-1")));
    assert_eq!(cart[..2], [Standing::Applies(shop.clone()), Standing::Elsewhere]);
    assert_eq!(standings(Subject::Namespace("shop".to_owned()))[0], Standing::Applies(shop));
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let names = prop::sample::select(vec!["a", "b", "c"]);
    let places = prop::sample::select(vec!["shop", "ops", "shop-eu"]);
    let targets =
        prop::collection::vec((prop::sample::select(vec!["Namespace", "Gateway", "Service"]), places.clone()), 1..3);
    (places, names, prop::option::of(0..3_i64), prop::bool::weighted(0.2), any::<bool>(), targets).prop_map(
        |(namespace, name, second, is_invalid, proposal, targets)| {
            let targets = targets
                .into_iter()
                .map(|(kind, name)| target(kind, if kind == "Gateway" { "edge" } else { name }))
                .collect();
            let mut candidate = policy(namespace, name, targets);
            candidate.policy.created = second.map(|second| jiff::Timestamp::from_second(second).unwrap());
            if proposal {
                candidate.policy.key.dialect = Dialect::Proposal;
            }
            if is_invalid { invalid(candidate) } else { candidate }
        },
    )
}

/// What became of each policy, by its name instead of its place.
fn named(candidates: &[Candidate], objects: &Objects) -> BTreeMap<PolicyKey, Vec<String>> {
    let resolution = Resolution::new(candidates, objects);
    let key = |index: PolicyIndex| candidates[index.0].policy.key.clone();
    let verdict = |verdict: &Verdict| match verdict {
        Verdict::Conflicted { target, winner } => format!("{target} lost to {:?}", key(*winner)),
        other => format!("{other:?}"),
    };
    (0..candidates.len())
        .map(PolicyIndex)
        .map(|index| (key(index), resolution.verdicts(index).iter().map(verdict).collect()))
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_the_input_decides_nothing(
        (candidates, shuffled, mut grants) in prop::collection::vec(any_candidate(), 0..8)
            .prop_map(|mut candidates| {
                // In a cluster a name is there once.
                candidates.sort_by_key(|candidate| candidate.policy.key.clone());
                candidates.dedup_by_key(|candidate| candidate.policy.key.clone());
                candidates
            })
            .prop_flat_map(|candidates| (Just(candidates.clone()), Just(candidates).prop_shuffle(), Just(vec![
                grant(GEP_GROUP, "ops", "shop", "Namespace", None),
                grant(PROPOSAL_GROUP, "shop", "ops", "Namespace", Some("ops")),
            ]))),
    ) {
        let objects = Objects { grants: grants.clone(), ..cluster() };
        grants.reverse();
        let reordered = Objects { grants, ..cluster() };
        prop_assert_eq!(named(&candidates, &objects), named(&shuffled, &reordered));
        let key = |candidates: &[Candidate], index: Option<PolicyIndex>| index.map(|index| candidates[index.0].policy.key.clone());
        let (first, second) = (Resolution::new(&candidates, &objects), Resolution::new(&shuffled, &reordered));
        prop_assert_eq!(key(&candidates, first.first_valid()), key(&shuffled, second.first_valid()));
        for name in ["cart-1", "edge-1"] {
            prop_assert_eq!(
                key(&candidates, first.policy_of_pod(&objects, &pod(name))),
                key(&shuffled, second.policy_of_pod(&reordered, &pod(name)))
            );
        }
    }

    #[test]
    fn exactly_one_policy_holds_for_a_target_that_a_valid_one_may_name(candidates in prop::collection::vec(any_candidate(), 0..8)) {
        let objects = cluster();
        let resolution = Resolution::new(&candidates, &objects);
        let mut accepted: BTreeMap<Target, Vec<PolicyIndex>> = BTreeMap::new();
        let mut conflicted = Vec::new();
        for index in (0..candidates.len()).map(PolicyIndex) {
            for verdict in resolution.verdicts(index) {
                match verdict {
                    Verdict::Accepted(target) => accepted.entry(target.clone()).or_default().push(index),
                    Verdict::Conflicted { target, winner } => conflicted.push((target.clone(), *winner)),
                    _ => {}
                }
            }
        }
        for (target, mut holders) in accepted.clone() {
            holders.dedup();
            prop_assert_eq!(holders, vec![resolution.policy_of(&target).unwrap()]);
        }
        for (target, winner) in conflicted {
            prop_assert!(accepted[&target].contains(&winner));
        }
    }
}
