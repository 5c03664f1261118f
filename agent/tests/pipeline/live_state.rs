//! The live state as those see it who look (`docs/admin.md`), of a pipeline at work.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;
use telltale::{
    admin::{
        Health, Routes, ServeError, Server,
        live::{About, BackendRefusal, CaptureState, LiveState, MAX_ENTRIES},
    },
    capture::{Direction, EventKind, Open, Role},
    policy::{
        Compiled, Defaults, PlanStore, Setting, Trust,
        document::{Documents, Source},
        validation,
    },
    workload::{Directory, DirectoryStore},
};
use tokio::runtime::Runtime;

use super::bench::Bench;

/// For what comes sooner or later on a machine that others use too.
const PATIENCE: Duration = Duration::from_mins(1);

const WORKER: &str = "telltale-0";

const CLUSTER: &str = "\
apiVersion: gateway.networking.x-k8s.io/v1alpha1
kind: TelemetryPolicy
metadata: {name: everything, namespace: shop, generation: 2}
spec:
  targetRefs: [{group: '', kind: Namespace, name: shop}]
  metrics: {mode: Enabled}
  accessLogs: {mode: Enabled}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata:
  {name: cart-1, namespace: shop, uid: 6f1c, labels: {app: cart}, ownerReferences: [{kind: StatefulSet, name: cart, controller: true}]}
spec: {nodeName: n1}
status: {podIPs: [{ip: 10.244.0.7}]}
---
apiVersion: v1
kind: Pod
metadata: {name: front-1, namespace: shop}
spec: {nodeName: n1}
status: {podIPs: [{ip: 10.244.0.6}]}
---
apiVersion: v1
kind: Pod
metadata: {name: elsewhere-1, namespace: shop}
spec: {nodeName: n2}
";

/// An agent as far as those see it who look: a worker that ticks, and the server.
struct Agent {
    live: LiveState,
    address: SocketAddr,
    /// Serves while it is kept.
    _server: Server,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
    runtime: Runtime,
}

impl Agent {
    /// Whose worker has these connections of `shop/cart-1` and as many local ones, and has shown that it lives.
    fn with(connections: u64) -> Self {
        let documents = Documents::read(&[Source::new("cluster.yaml", CLUSTER)]);
        assert_eq!(documents.problems, []);
        let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::own() };
        let candidates = validation::candidates(&documents);
        let compiled = Arc::new(Compiled::new(candidates, documents.objects.clone(), &setting, None));
        let plans = PlanStore::new(compiled.plans(Arc::default()));
        let health = Health::new();
        let directory = DirectoryStore::new(Directory::of(&documents.objects));
        let live = LiveState::new(About::of_this_process(Some("n1".to_owned())), &health, &plans, &directory);
        live.set_policies(compiled);
        live.set_capture(CaptureState {
            kernel: "6.12.0".to_owned(),
            backend: "syscall".to_owned(),
            refusals: vec![BackendRefusal { backend: "socket".to_owned(), ..BackendRefusal::default() }],
        });
        live.set_cannot(vec!["TLS is not read".to_owned()]);
        let probe = live.worker(WORKER);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (ticked, has_ticked) = mpsc::channel();
        let worker = std::thread::spawn(move || {
            let mut bench = Bench::build(&plans, 1 << 16, &health, &[]);
            for number in 0..connections {
                let pod = Open {
                    role: Some(Role::Server),
                    pod: Some("shop/cart-1".to_owned()),
                    container: Some("app".to_owned()),
                    pid: 7,
                    comm: "python3".to_owned(),
                    ..Open::new(([10, 244, 0, 7], 8080).into(), ([10, 244, 0, 6], 4000).into())
                };
                bench.event(number * 2, EventKind::Open(Box::new(pod)));
                bench.data(
                    number * 2,
                    Direction::In,
                    0,
                    b"GET /confidential?of=confidential HTTP/1.1\r\nx: confidential\r\n\r\n",
                );
                bench.open(number * 2 + 1);
            }
            while !stopped.load(Ordering::Relaxed) {
                bench.tick(0);
                probe.tick(&bench.pipeline);
                // Nobody listens after the first.
                let _ = ticked.send(());
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        has_ticked.recv_timeout(PATIENCE).expect("the worker ticks");
        drop(has_ticked);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(Server::start("127.0.0.1:0", Routes::live(live.clone(), false))).unwrap();
        Self { live, address: server.address(), _server: server, stop, worker: Some(worker), runtime }
    }

    /// Status and body of an answer.
    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "{request}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\ncache-control: no-store"), "{head}");
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}", self.address))
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        assert!(!body.contains("confidential"), "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The same, asked until the worker had time to answer within the two seconds that it is given.
    fn answered(&self, path: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.json(path);
            if said["unanswered"].as_array().is_none_or(|missing| !missing.contains(&WORKER.into())) {
                return said;
            }
            assert!(Instant::now() < end, "{path}: {said}");
        }
    }

    fn silence(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.take().unwrap().join().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.worker.is_some() {
            self.silence();
        }
    }
}

/// Objects whose keys are data: names of metrics, of labels, of attributes.
const DICTIONARIES: [&str; 3] = ["counters", "labels", "attributes"];

/// The kinds of values of an answer by path. Elements of a list are one, and `null` is any kind.
fn shape(at: &str, value: &Value, is_dictionary: bool, into: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(elements) => {
            for element in elements {
                shape(&format!("{at}[]"), element, false, into);
            }
            "list"
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = if is_dictionary { "*" } else { key };
                shape(&format!("{at}.{key}"), field, DICTIONARIES.contains(&key), into);
            }
            "object"
        }
    };
    let known = into.entry(at.to_owned()).or_insert(kind);
    if !kind.is_empty() {
        assert!(known.is_empty() || *known == kind, "{at} is {known} and {kind}");
        *known = kind;
    }
}

fn shape_of(value: &Value) -> BTreeMap<String, &'static str> {
    let mut into = BTreeMap::new();
    shape("", value, false, &mut into);
    into
}

#[test]
fn answers_have_the_shape_of_the_documented_ones() {
    let agent = Agent::with(3);
    agent.live.readiness().gate("cluster", "the objects of the cluster were not read yet");
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/admin.md")).unwrap();
    let mut paths = Vec::new();
    for section in document.split("\n## `GET ").skip(1) {
        let path = section.split(['`', '?']).next().unwrap();
        let example = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let example: Value = serde_json::from_str(example.unwrap_or_else(|| panic!("{path} has an example"))).unwrap();
        let query = if path == "/v1/explain" { "?pod=shop/cart-1" } else { "" };
        let (documented, answered) = (shape_of(&example), shape_of(&agent.answered(&format!("{path}{query}"))));
        // What only an example has room for is of any kind: an empty list, a null.
        for (at, kind) in &answered {
            let known = documented.get(at).unwrap_or_else(|| panic!("{path}: {at} is not documented"));
            assert!(
                known == kind || kind.is_empty() || known.is_empty(),
                "{path}: {at} is {kind}, documented as {known}"
            );
        }
        let missing = documented.keys().find(|at| !answered.contains_key(*at));
        assert_eq!(missing, None, "{path}: documented, and not in the answer");
        paths.push(path.to_owned());
    }
    let index = agent.get("/").1;
    for path in &paths {
        assert!(index.contains(path.as_str()), "{path}: {index}");
    }
    assert_eq!(paths.len(), 5);
}

#[test]
fn connections_are_counted_cut_and_found_by_pod() {
    let agent = Agent::with(MAX_ENTRIES as u64);
    let all = agent.answered("/v1/connections");
    assert_eq!((all["total"].as_u64(), all["connections"].as_array().unwrap().len()), (Some(2000), MAX_ENTRIES));
    let few = agent.answered("/v1/connections?pod=shop%2Fcart-1&limit=2");
    assert_eq!((few["total"].as_u64(), few["connections"].as_array().unwrap().len()), (Some(1000), 2));
    let one = &few["connections"][0];
    assert_eq!((&one["workload"]["service"], &one["peerWorkload"]["pod"]), (&"cart".into(), &"front-1".into()));
    assert_eq!((&one["received"], &one["pending"], &one["policy"]["generation"]), (&63.into(), &1.into(), &2.into()));
    assert_eq!(agent.answered("/v1/connections?pod=shop/other")["total"], 0);
    let workloads = agent.answered("/v1/workloads");
    let of = |pod: &str| {
        let all = workloads["workloads"].as_array().unwrap();
        all.iter().find(|workload| workload["pod"] == pod).map(|workload| workload["connections"].as_u64().unwrap())
    };
    // Pods of other nodes are not this agent's.
    assert_eq!([of("cart-1"), of("front-1"), of("elsewhere-1")], [Some(1000), Some(0), None]);
}

#[test]
fn a_worker_that_does_not_answer_is_named() {
    let mut agent = Agent::with(1);
    let _busy = agent.live.worker("telltale-1");
    let said = agent.answered("/v1/connections");
    assert_eq!((&said["total"], &said["unanswered"]), (&2.into(), &serde_json::json!(["telltale-1"])));
    agent.silence();
    // It came to its regular end: it is not missed.
    assert_eq!(agent.json("/v1/connections")["unanswered"], serde_json::json!(["telltale-1"]));
}

#[test]
fn what_is_no_question_is_refused() {
    let agent = Agent::with(0);
    for (path, status) in [
        ("/v1", 404),
        ("/metrics", 404),
        ("/v1/state?x=1", 400),
        ("/v1/connections?pod=cart", 400),
        ("/v1/connections?limit=1001", 400),
        ("/v1/explain", 400),
        ("/v1/explain?pod=shop/cart-1&namespace=shop", 400),
        ("/v1/explain?pod=shop/gone", 404),
        ("/v1/explain?namespace=gone", 404),
    ] {
        let (answered, body) = agent.get(path);
        assert_eq!(answered, status, "{path}: {body}");
        assert!(serde_json::from_str::<Value>(&body).unwrap()["error"].is_string(), "{path}: {body}");
    }
    let address = agent.address;
    assert_eq!(agent.ask(&format!("POST /v1/state HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0")).0, 405);
    // A page of a name that leads here must not read what is here.
    for (host, status) in [("rebound.example", 403), ("localhost", 200), ("[::1]:9", 200)] {
        assert_eq!(agent.ask(&format!("GET /v1/state HTTP/1.1\r\nHost: {host}")).0, status, "{host}");
    }
    assert_eq!(agent.ask("GET /v1/state HTTP/1.0").0, 403);
}

#[test]
fn others_see_it_only_where_the_operator_says_so() {
    let agent = Agent::with(0);
    let start = |address: &str, remote: bool| {
        agent.runtime.block_on(Server::start(address, Routes::live(agent.live.clone(), remote)))
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9465"] {
        let error = start(address, false).unwrap_err();
        assert!(matches!(error, ServeError::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains("allowRemote: true"), "{error}");
    }
    assert!(start("0.0.0.0:0", true).is_ok());
    let error = start(&agent.address.to_string(), false).unwrap_err();
    assert!(error.to_string().contains("choose another with --admin-addr"), "{error}");
}

#[test]
fn a_running_agent_explains_as_files_are_explained() {
    let agent = Agent::with(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    fs::write(&file, CLUSTER).unwrap();
    let (file, url) = (file.to_str().unwrap(), format!("http://{}", agent.address));
    let explain = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
        let output = command.args(["-q", "policy", "explain"]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for target in [["--pod", "shop/cart-1"], ["--namespace", "shop"]] {
        for format in ["text", "json", "yaml"] {
            let rest = [target[0], target[1], "-o", format];
            let of_files = explain(&[&[file][..], &rest].concat());
            assert_eq!(of_files.0, Some(0), "{}", of_files.2);
            assert_eq!(explain(&[&["--agent", url.as_str()][..], &rest].concat()), of_files, "{target:?} {format}");
        }
    }
    let (code, _, error) = explain(&["--agent", &url, "--pod", "shop/gone"]);
    assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains("no Pod shop/gone is known here (node n1); ask the agent of its node"), "{error}");
    // Either files or an agent.
    assert_eq!(explain(&[file, "--agent", &url, "--pod", "shop/cart-1"]).0, Some(2));
    assert_eq!(explain(&["--pod", "shop/cart-1"]).0, Some(2));
}
