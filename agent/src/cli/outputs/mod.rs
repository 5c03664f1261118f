//! Where the telemetry of `run` and `replay` goes: flags -> sinks.

mod lines;
mod live;
mod replayed;
mod spans;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{runtime::Handle, task::spawn_blocking};

pub use self::live::Live;
use self::{
    lines::{Logs, close_lines},
    spans::{Spans, span_opener},
};
use super::{
    args::{Out, OutputArgs},
    exit::{Exit, Failure},
};
use crate::{
    admin::{Health, SelfTelemetry, table},
    exchange::genai::Providers,
    export::{
        ACCESS_LOG, ACCESS_LOG_FILE, LogSinks, Output, SPAN_FILE,
        otlp::{Exporters, MetricsExporter, OtlpExporter},
        prometheus::{Exposition, Format},
    },
    policy::{
        Plan, PlanStore, Plans,
        attribute::Faults,
        plan::{SpanProvider, TracingPlan, access_log::Sink},
    },
    telemetry::{Outlets, Recorder, Settings, SpanSink, access_log::LineRecord, metrics::Metrics},
    workload::Attribution,
};

/// How long the end of a run waits for readers of its lines that do not read.
const LINE_DEADLINE: Duration = Duration::from_secs(3);

/// How long the end of a run waits for endpoints that are away, and then once more for that of the agent's own telemetry.
const EXPORT_DEADLINE: Duration = Duration::from_secs(5);

/// What `run` and `replay` write to. Makes the recorder of each worker, and ends all sinks.
pub struct Outputs {
    /// Counters of all stages.
    pub health: Arc<Health>,
    /// What is asked for, of whom.
    pub plans: Arc<PlanStore>,
    /// What whose connections are is known by.
    pub attribution: Attribution,
    /// Whether the summary keeps the order of calls (`--tree`).
    pub tree: bool,
    /// Whose language models are known by what.
    pub providers: Arc<Providers>,
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

impl Outputs {
    fn new(
        args: &OutputArgs,
        plans: Plans,
        faults: &Faults,
        settings: Settings,
        health: Arc<Health>,
        local_attributes: Vec<(String, String)>,
    ) -> Result<Self, Failure> {
        faults.report_to(&health);
        let attribution = Attribution::of(&plans.objects);
        attribution.directory.report_to(&health);
        let plans = PlanStore::new(plans);
        let metrics = args.metrics.as_ref().map(|out| open(out, false)).transpose()?;
        let series = Metrics::new(Arc::clone(&settings.methods));
        series.report_to(&health);
        let exposition = Exposition::new(Arc::clone(&series), Some(Arc::clone(&health)), local_attributes.clone());
        Ok(Self {
            health,
            plans,
            attribution,
            tree: false,
            providers: Arc::default(),
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

    /// Where access logs go, if that is to the sinks of each plan.
    pub fn log_sinks(&self) -> Option<LogSinks> {
        match &self.logs {
            Logs::Sinks(sinks) => Some(sinks.clone()),
            Logs::None | Logs::Direct(_) => None,
        }
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
