//! Where the telemetry of `run` and `replay` goes: flags -> sinks.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    runtime::{Handle, Runtime},
    task::spawn_blocking,
};

use super::{
    args::{Out, OutputArgs, ReplayArgs, RunArgs},
    config::fallback,
    exit::{Exit, Failure},
    policies::Policies,
};
use crate::{
    admin::{Health, SelfTelemetry, register_process_metrics, table},
    config::{Author, Config},
    export::{
        ACCESS_LOG, ACCESS_LOG_FILE, LineQueue, LineSink, LineWriter, LogExporters, LogSettings, LogSinks, Output,
        Reopen, SPAN_FILE, SpanFile,
        otlp::{
            BatchConfig, Choice, ExporterSettings, Exporters, MetricsExporter, OtlpExporter, RetryPolicy, Signal,
            environment_resource, metric_interval,
        },
        prometheus::{Exposition, Format},
    },
    policy::{
        Defaults, Plan, PlanStore, Reach, Setting,
        plan::{ContextFormat, Exports, SpanProvider, TracingPlan, access_log::Sink},
    },
    telemetry::{
        KnownMethods, LogSink, Outlets, Recorder, Sampler, Settings, SpanSink, access_log::LineRecord,
        metrics::Metrics, names, span::SpanRecord,
    },
};

/// How long the end of a run waits for readers of its lines that do not read.
const LINE_DEADLINE: Duration = Duration::from_secs(3);

/// How long the end of a run waits for endpoints that are away, and then once more for that of the agent's own telemetry.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);

/// Access-log lines.
#[derive(Clone)]
enum Logs {
    None,
    /// Of every plan to one writer, whatever its sinks, written by the worker itself, in order: for a replay.
    Direct(SharedLines),
    /// To the sinks of each plan, written by threads of their own: capture never waits for a reader.
    Sinks(LogSinks),
}

impl Logs {
    fn open(&self, plan: &Plan) -> Vec<Box<dyn LogSink>> {
        match self {
            Self::None => Vec::new(),
            // Once, however many sinks it would go to.
            Self::Direct(lines) => {
                plan.access_logs.iter().map(|_| Box::new(lines.clone()) as Box<dyn LogSink>).collect()
            }
            Self::Sinks(sinks) => sinks.open(plan),
        }
    }
}

/// Spans that are written as lines.
enum Spans {
    /// By the worker itself, in order: for a replay.
    Direct(SharedSpans),
    /// By a thread of its own: capture never waits for a reader.
    Queue {
        queue: LineQueue,
        /// On a terminal spans are seen one by one.
        immediate: bool,
    },
}

impl Spans {
    /// One worker's sink, which all its plans share.
    fn open(&self, local_attributes: &[(String, String)], health: &Health) -> SharedSpans {
        match self {
            Self::Direct(file) => file.clone(),
            Self::Queue { queue, immediate } => {
                let file = SpanFile::queued(queue.sender(), local_attributes.to_vec(), health);
                SharedSpans::new(if *immediate { file.immediate() } else { file })
            }
        }
    }
}

/// What `run` and `replay` write to. Makes the recorder of each worker, and ends all sinks.
pub struct Outputs {
    /// Counters of all stages.
    pub health: Arc<Health>,
    /// What is asked for, of whom.
    pub plans: Arc<PlanStore>,
    policies: Option<Policies>,
    settings: Settings,
    series: Arc<Metrics>,
    exposition: Arc<Exposition>,
    spans: Option<Spans>,
    /// Added to the resources of workloads that are of no pod.
    local_attributes: Vec<(String, String)>,
    logs: Logs,
    /// `--logs` or `--spans` is a file that is opened again.
    rotates: bool,
    metrics: Option<Output>,
    /// Where the exporters' tasks run, if this is a run.
    runtime: Option<Handle>,
    span_exporter: Option<OtlpExporter>,
    /// Instead of that exporter, the terminal.
    console: Option<Spans>,
    /// Those that policies name; a replay has none, since it never exports to a network.
    exporters: Option<Exporters>,
    log_exporter: Option<OtlpExporter<LineRecord>>,
    log_exporters: Option<Exporters<LineRecord>>,
    metrics_exporter: Option<MetricsExporter>,
    self_telemetry: Option<SelfTelemetry>,
}

/// A line sink that several plans share.
#[derive(Clone)]
struct SharedLines(Arc<Mutex<LineWriter>>);

impl LineSink for SharedLines {
    fn line(&mut self, line: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    }

    fn flush(&mut self) {
        LineSink::flush(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A span sink that several plans share.
#[derive(Clone)]
struct SharedSpans(Arc<Mutex<SpanFile>>);

impl SharedSpans {
    fn new(file: SpanFile) -> Self {
        Self(Arc::new(Mutex::new(file)))
    }
}

impl SpanSink for SharedSpans {
    fn span(&mut self, record: SpanRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).span(record);
    }

    fn flush(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}

impl Outputs {
    /// The outputs of a run: the flags, and the exporters that `OTEL_*` variables or the configuration name, whose tasks run on `runtime`. Files of spans
    /// and lines are continued if they exist. Without `--logs` lines go to stdout, or, where COMMAND owns that, to stderr.
    ///
    /// # Errors
    /// An output that cannot be opened, one file for two of them, or a variable that cannot be understood.
    pub fn for_run(args: &RunArgs, config: &Config, runtime: &Runtime) -> Result<Self, Failure> {
        check_distinct(&args.output)?;
        let lookup = |name: &str| std::env::var(name).ok();
        let health = Health::new();
        register_process_metrics(&health);
        let mut files = Files::default();
        let log = match &args.output.logs {
            // Nobody reads it: no line is made.
            Some(Out::File(path)) if path == Path::new("/dev/null") => None,
            Some(out) => Some(files.open(out)?),
            None if args.command.is_empty() => Some(Output::stdout()),
            None => Some(stderr_output()),
        };
        let queue = log.map(|log| LineQueue::start(log, &health)).transpose().context("cannot start the access log")?;
        let settings = Settings {
            methods: lookup("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
                .filter(|list| !list.is_empty())
                .map_or_else(Default::default, |list| Arc::new(KnownMethods::from_list(&list))),
            sampler: Sampler::from_environment(&lookup).map_err(anyhow::Error::from)?,
            contexts: lookup("OTEL_PROPAGATORS").and_then(|list| ContextFormat::of_propagators(&list)),
        };
        names::follow(config.conventions(&lookup));
        let resource = environment_resource(&lookup).map_err(anyhow::Error::from)?;
        let local_attributes = resource.attributes.clone();
        let receiver = |signal| config.receiver(signal, &lookup).map_err(anyhow::Error::from);
        let (traces, metrics, lines) = (receiver(Signal::Traces)?, receiver(Signal::Metrics)?, receiver(Signal::Logs)?);
        let exports = |choice: &Choice| matches!(choice, Choice::Otlp(_));
        let defaults = Defaults {
            exports: Exports {
                spans: traces != Choice::None || args.output.spans.is_some(),
                metrics: exports(&metrics),
                logs: exports(&lines),
            },
            log_sink: true,
        };
        let setting = Setting { defaults, trust: config.trust(Author::Operator, args.log_dir.is_some()) };
        // `--logs` says it before the configuration does.
        let fallback = match args.output.logs {
            Some(_) => fallback(&config.without_default_sinks(), args.config.as_deref(), &setting)?,
            None => fallback(config, args.config.as_deref(), &setting)?,
        };
        let policies = Policies::load(&args.policy, setting, fallback)?;
        let mut outputs = Self::new(&args.output, policies, settings, health, local_attributes.clone())?;
        outputs.spans =
            (args.output.spans.as_ref()).map(|out| span_queue(files.open(out)?, false, &outputs.health)).transpose()?;
        outputs.rotates = files.rotates;
        let _entered = runtime.enter();
        outputs.runtime = Some(runtime.handle().clone());
        let batch = BatchConfig::from_environment(&lookup).map_err(anyhow::Error::from)?;
        let exporters = ExporterSettings {
            batch,
            retry: RetryPolicy::default(),
            local_attributes: local_attributes.clone(),
            // Who runs the agent wrote the policies.
            reach: Reach::ANYWHERE,
            deadline: EXPORT_DEADLINE,
        };
        let directory = args.log_dir.as_deref().or(config.log_directory());
        let reopen = files.reopen;
        let log_settings = log_settings(config.stdout_limit(Author::Operator), directory)?;
        let log_settings = LogSettings { reopen, ..log_settings };
        outputs.start_log_sinks(queue, lines.clone(), exporters.clone(), log_settings, runtime)?;
        outputs.start_span_exporters(traces, exporters, runtime)?;
        let interval = metric_interval(&lookup).map_err(anyhow::Error::from)?;
        if let Choice::Otlp(config) = &metrics {
            let exporter = MetricsExporter::start(
                config,
                interval,
                RetryPolicy::default(),
                Arc::clone(&outputs.series),
                local_attributes,
                &outputs.health,
            );
            outputs.metrics_exporter = Some(exporter.map_err(anyhow::Error::from)?);
        }
        let own = SelfTelemetry::start(metrics, lines, interval, &resource, &outputs.health);
        outputs.self_telemetry = Some(own.map_err(anyhow::Error::from)?);
        Ok(outputs)
    }

    /// The sinks of access logs: standard output, files, and the exporters of log records, that of the environment and those that policies will name.
    fn start_log_sinks(
        &mut self,
        stdout: Option<LineQueue>,
        choice: Choice,
        settings: ExporterSettings,
        log_settings: LogSettings,
        runtime: &Runtime,
    ) -> Result<(), Failure> {
        // Lines on the terminal are what `--logs` is for.
        if let Choice::Otlp(config) = choice {
            let ExporterSettings { batch, retry, local_attributes, .. } = settings.clone();
            let started = OtlpExporter::start(&config, batch, retry, local_attributes, &self.health);
            self.log_exporter = Some(started.map_err(anyhow::Error::from)?);
        }
        let named = Exporters::new(runtime.handle().clone(), settings, &self.health);
        self.log_exporters = Some(named.clone());
        let own = self.log_exporter.as_ref().map(OtlpExporter::sender);
        let settings = LogSettings { exporters: Some(LogExporters { own, named }), ..log_settings };
        self.logs = Logs::Sinks(LogSinks::new(stdout, settings, &self.health));
        Ok(())
    }

    /// The exporters of spans: that of the environment, and those that policies will name.
    fn start_span_exporters(
        &mut self,
        choice: Choice,
        settings: ExporterSettings,
        runtime: &Runtime,
    ) -> Result<(), Failure> {
        let ExporterSettings { batch, retry, local_attributes, .. } = settings.clone();
        self.exporters = Some(Exporters::new(runtime.handle().clone(), settings, &self.health));
        match choice {
            Choice::None => {}
            Choice::Console => {
                self.console = Some(span_queue(stderr_output(), true, &self.health)?);
            }
            Choice::Otlp(config) => {
                let started = OtlpExporter::start(&config, batch, retry, local_attributes, &self.health);
                self.span_exporter = Some(started.map_err(anyhow::Error::from)?);
            }
        }
        Ok(())
    }

    /// The outputs of a replay: deterministic, so nothing depends on the environment, and nothing waits in a queue.
    ///
    /// # Errors
    /// An output that cannot be opened, or one file for two of them.
    pub fn for_replay(output: &OutputArgs, args: &ReplayArgs, config: &Config) -> Result<Self, Failure> {
        check_distinct(output)?;
        names::follow(config.conventions(&|_| None));
        // Its files take whatever any sink or provider would.
        let defaults = Defaults {
            exports: Exports { spans: output.spans.is_some(), ..Defaults::EVERYTHING.exports },
            log_sink: true,
        };
        let setting = Setting { defaults, trust: config.trust(Author::Operator, false) };
        let fallback = fallback(config, args.config.as_deref(), &setting)?;
        let policies = Policies::load(&args.policy, setting, fallback)?;
        let health = Health::new();
        let logs = match &output.logs {
            Some(out) => Logs::Direct(SharedLines(Arc::new(Mutex::new(LineWriter::new(open(out, false)?, &health))))),
            None => Logs::None,
        };
        let mut outputs = Self::new(output, policies, Settings::default(), health, Vec::new())?;
        outputs.logs = logs;
        if let Some(out) = &output.spans {
            let file = SpanFile::new(open(out, false)?, Vec::new(), &outputs.health);
            outputs.spans = Some(Spans::Direct(SharedSpans::new(file)));
        }
        Ok(outputs)
    }

    fn new(
        args: &OutputArgs,
        policies: Policies,
        settings: Settings,
        health: Arc<Health>,
        local_attributes: Vec<(String, String)>,
    ) -> Result<Self, Failure> {
        policies.faults().report_to(&health);
        let plans = PlanStore::new(policies.plans());
        let metrics = args.metrics.as_ref().map(|out| open(out, false)).transpose()?;
        let series = Metrics::new(Arc::clone(&settings.methods));
        series.report_to(&health);
        let exposition = Exposition::new(Arc::clone(&series), Some(Arc::clone(&health)), local_attributes.clone());
        Ok(Self {
            health,
            plans,
            policies: Some(policies),
            settings,
            series,
            exposition,
            spans: None,
            local_attributes,
            logs: Logs::None,
            rotates: false,
            metrics,
            runtime: None,
            span_exporter: None,
            console: None,
            exporters: None,
            log_exporter: None,
            log_exporters: None,
            metrics_exporter: None,
            self_telemetry: None,
        })
    }

    /// The recorder of one worker.
    pub fn recorder(&self) -> Recorder {
        let lines = |spans: &Spans| span_opener(spans.open(&self.local_attributes, &self.health));
        let file = self.spans.as_ref().map(lines);
        let own = (self.span_exporter.as_ref().map(|exporter| span_opener(exporter.sender())))
            .or_else(|| self.console.as_ref().map(lines));
        let exporters = self.exporters.clone();
        // `--spans` takes what any provider does.
        let spans = move |tracing: &TracingPlan| {
            let provider: Option<Box<dyn SpanSink>> = match &tracing.provider {
                SpanProvider::Nobody => return Vec::new(),
                SpanProvider::Agent => own.as_ref().map(|open| open()),
                SpanProvider::Receiver(receiver) => {
                    exporters.as_ref().map(|exporters| Box::new(exporters.sink(receiver)) as Box<dyn SpanSink>)
                }
            };
            file.iter().map(|open| open()).chain(provider).collect()
        };
        let logs = self.logs.clone();
        let series = Arc::clone(&self.series);
        let open = move |plan: &Arc<Plan>| Outlets {
            metrics: series.shard(plan),
            spans: plan.tracing.as_deref().map(&spans).unwrap_or_default(),
            logs: logs.open(plan),
        };
        Recorder::new(self.settings.clone(), Box::new(open), &self.health)
    }

    /// The series of observed traffic.
    #[cfg_attr(
        not(all(feature = "ebpf", target_os = "linux")),
        expect(dead_code, reason = "a replay reads its policies once")
    )]
    pub(super) fn series(&self) -> Arc<Metrics> {
        Arc::clone(&self.series)
    }

    /// The policies, for whoever follows their changes.
    #[cfg_attr(
        not(all(feature = "ebpf", target_os = "linux")),
        expect(dead_code, reason = "a replay reads its policies once")
    )]
    pub(super) fn take_policies(&mut self) -> Option<Policies> {
        self.policies.take()
    }

    /// Has files of lines and spans opened again before their next. Whether there are any, or will be once a policy that names one has traffic.
    pub fn reopen_logs(&self) -> bool {
        let Logs::Sinks(sinks) = &self.logs else { return false };
        let is_file = |sink: &Sink| matches!(sink, Sink::File(_));
        let (_, plans) = self.plans.current();
        let named =
            plans.distinct().iter().any(|plan| plan.access_logs.iter().any(|logs| logs.sinks.iter().any(is_file)));
        sinks.reopen() || named || self.rotates
    }

    /// What `/metrics` shows.
    pub fn exposition(&self) -> Arc<Exposition> {
        Arc::clone(&self.exposition)
    }

    /// Writes what is left, all workers being gone. [`Exit::Failed`] if an output lost something; its message was given.
    ///
    /// # Errors
    /// The metrics cannot be written.
    pub fn finish(self) -> Result<Exit, Failure> {
        let mut queues = Vec::new();
        for spans in self.spans.into_iter().chain(self.console) {
            match spans {
                Spans::Direct(mut file) => file.flush(),
                Spans::Queue { queue, .. } => queues.push(queue),
            }
        }
        let sinks = match self.logs {
            Logs::Sinks(sinks) => Some(sinks),
            Logs::None | Logs::Direct(_) => None,
        };
        if let Some(runtime) = self.runtime {
            runtime.block_on(async {
                // All at once, so that one that hangs takes no time from the others.
                tokio::join!(
                    async { drop(spawn_blocking(move || close_lines(sinks, queues)).await) },
                    async {
                        if let Some(exporter) = self.span_exporter {
                            exporter.close(EXPORT_DEADLINE).await;
                        }
                    },
                    async {
                        if let Some(exporters) = self.exporters {
                            exporters.close().await;
                        }
                    },
                    async {
                        if let Some(exporter) = self.log_exporter {
                            exporter.close(EXPORT_DEADLINE).await;
                        }
                    },
                    async {
                        if let Some(exporters) = self.log_exporters {
                            exporters.close().await;
                        }
                    },
                    async {
                        if let Some(exporter) = self.metrics_exporter {
                            exporter.close(EXPORT_DEADLINE).await;
                        }
                    },
                );
                // Last, so that it tells what the others lost.
                if let Some(telemetry) = self.self_telemetry {
                    telemetry.close(EXPORT_DEADLINE).await;
                }
            });
        } else {
            close_lines(sinks, queues);
        }
        if let Some(mut output) = self.metrics {
            let text = self.exposition.render(Format::Text);
            let written = output.writer.write_all(text.as_bytes()).and_then(|()| output.writer.flush());
            written.with_context(|| format!("cannot write the metrics to {}", output.name))?;
        }
        let mut exit = Exit::Done;
        let sinks = [(ACCESS_LOG, "access-log lines"), (ACCESS_LOG_FILE, "access-log lines"), (SPAN_FILE, "spans")];
        for (sink, what) in sinks {
            let lost = self.health.value(&table::QUEUE_DROPPED, &[sink, "write_failed"]);
            if lost > 0 {
                tracing::error!("{lost} {what} could not be written");
                exit = Exit::Failed;
            }
        }
        Ok(exit)
    }
}

/// Ends what threads of their own write, for at most [`LINE_DEADLINE`] together.
fn close_lines(logs: Option<LogSinks>, spans: Vec<LineQueue>) {
    let end = Instant::now() + LINE_DEADLINE;
    // Before the first is waited for.
    for queue in &spans {
        queue.end();
    }
    if let Some(logs) = logs {
        logs.close(LINE_DEADLINE);
    }
    for queue in spans {
        queue.close(end.saturating_duration_since(Instant::now()));
    }
}

type SpanOpener = Box<dyn Fn() -> Box<dyn SpanSink> + Send>;

fn span_opener(sink: impl SpanSink + Clone + 'static) -> SpanOpener {
    Box::new(move || Box::new(sink.clone()))
}

/// How lines are written: at most so many per second of each policy to standard output, and files below a directory.
fn log_settings(stdout_limit: Option<NonZeroU32>, directory: Option<&Path>) -> Result<LogSettings, Failure> {
    let settings = LogSettings { stdout_limit, ..LogSettings::default() };
    let Some(path) = directory else { return Ok(settings) };
    #[cfg(unix)]
    {
        let opened = crate::export::LogDirectory::open(path);
        let opened = opened.with_context(|| format!("cannot open the folder of log files {}", path.display()))?;
        Ok(LogSettings { directory: Some(Arc::new(opened)), ..settings })
    }
    #[cfg(not(unix))]
    Err(anyhow::anyhow!("{}: log files in a folder of their own need Unix", path.display()).into())
}

/// A thread that writes spans there.
fn span_queue(output: Output, immediate: bool, health: &Arc<Health>) -> Result<Spans, Failure> {
    let queue = LineQueue::of_spans(output, health).context("cannot start the thread that writes spans")?;
    Ok(Spans::Queue { queue, immediate })
}

fn stderr_output() -> Output {
    Output { name: "standard error".to_owned(), writer: Box::new(std::io::stderr()) }
}

/// What `--logs` and `--spans` of a run name. Regular files may be moved away (`SIGHUP`).
#[derive(Default)]
struct Files {
    reopen: Reopen,
    /// There is one.
    rotates: bool,
}

impl Files {
    fn open(&mut self, out: &Out) -> Result<Output, Failure> {
        let Out::File(path) = out else { return Ok(Output::stdout()) };
        let (output, rotates) = Output::open_log(path, &self.reopen).map_err(anyhow::Error::from)?;
        self.rotates |= rotates;
        Ok(output)
    }
}

/// Opens an output.
pub(super) fn open(out: &Out, append: bool) -> Result<Output, Failure> {
    match out {
        Out::Stdout => Ok(Output::stdout()),
        Out::File(path) => Output::open(path, append).map_err(|error| Failure::Failed(error.into())),
    }
}

/// Two outputs in one file would overwrite each other. On stdout they follow each other.
pub(super) fn check_distinct(args: &OutputArgs) -> Result<(), Failure> {
    let files: Vec<(&str, &Path)> = args
        .given()
        .filter_map(|(flag, out)| match out {
            Out::File(path) => Some((flag, path.as_path())),
            Out::Stdout => None,
        })
        .collect();
    for (index, (flag, path)) in files.iter().enumerate() {
        if let Some((other, _)) = files[..index].iter().find(|(_, earlier)| earlier == path) {
            return Err(Failure::Usage(format!("{other} and {flag} name the same file {}", path.display())));
        }
    }
    Ok(())
}
