//! The outputs of a live capture: flags, `OTEL_*` variables, the configuration -> sinks and exporters.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::{EXPORT_DEADLINE, Outputs, check_distinct, lines::Logs, spans::span_queue};
use crate::{
    admin::{Health, SelfTelemetry, register_process_metrics},
    cli::{
        args::{Out, OutputArgs},
        config::{fallback, prices},
        exit::Failure,
    },
    config::{Author, Config},
    export::{
        LineQueue, LogExporters, LogSettings, LogSinks, Output, Reopen,
        otlp::{
            BatchConfig, Choice, ExporterSettings, Exporters, MetricsExporter, OtlpExporter, RetryPolicy, Signal,
            environment_resource, metric_interval,
        },
    },
    policy::{
        Defaults, Fallback, Plans, Setting,
        plan::{ContextFormat, Exports},
    },
    telemetry::{KnownMethods, Sampler, Settings, names},
};

/// What a live capture says of its outputs.
pub struct Live<'a> {
    /// The flags.
    pub output: &'a OutputArgs,
    /// `--log-dir`
    pub log_dir: Option<&'a Path>,
    /// `--config`
    pub config_file: Option<&'a Path>,
    /// What it says.
    pub config: &'a Config,
    /// Who writes the policies.
    pub author: Author,
    /// Standard output is COMMAND's.
    pub stdout_taken: bool,
}

impl Outputs {
    /// The outputs of a live capture: the flags, and the exporters that `OTEL_*` variables or the configuration name, whose tasks run on `runtime`. Files of
    /// spans and lines are continued if they exist. Without `--logs` lines go to stdout, or, where COMMAND owns that, to stderr.
    ///
    /// Nothing is asked for yet. With what policies are to be compiled with.
    ///
    /// # Errors
    /// An output that cannot be opened, one file for two of them, or a variable that cannot be understood.
    pub fn live(live: &Live<'_>, runtime: &Runtime) -> Result<(Self, Setting, Fallback), Failure> {
        let Live { output, config, author, .. } = *live;
        check_distinct(output)?;
        let lookup = |name: &str| std::env::var(name).ok();
        let health = Health::new();
        register_process_metrics(&health);
        let mut files = Files::default();
        let log = match &output.logs {
            // Nobody reads it: no line is made.
            Some(Out::File(path)) if path == Path::new("/dev/null") => None,
            Some(out) => Some(files.open(out)?),
            None if live.stdout_taken => Some(stderr_output()),
            None => Some(Output::stdout()),
        };
        let queue = log.map(|log| LineQueue::start(log, &health)).transpose().context("cannot start the access log")?;
        let settings = Settings {
            methods: lookup("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
                .filter(|list| !list.is_empty())
                .map_or_else(Default::default, |list| Arc::new(KnownMethods::from_list(&list))),
            sampler: Sampler::from_environment(&lookup).map_err(anyhow::Error::from)?,
            contexts: lookup("OTEL_PROPAGATORS").and_then(|list| ContextFormat::of_propagators(&list)),
            prices: prices(config)?,
        };
        names::follow(config.conventions(&lookup));
        let resource = environment_resource(&lookup).map_err(anyhow::Error::from)?;
        let local_attributes = resource.attributes.clone();
        let receiver = |signal| config.receiver(signal, &lookup).map_err(anyhow::Error::from);
        let (traces, metrics, lines) = (receiver(Signal::Traces)?, receiver(Signal::Metrics)?, receiver(Signal::Logs)?);
        let exports = |choice: &Choice| matches!(choice, Choice::Otlp(_));
        let defaults = Defaults {
            exports: Exports {
                spans: traces != Choice::None || output.spans.is_some(),
                metrics: exports(&metrics),
                logs: exports(&lines),
            },
            log_sink: author == Author::Operator || output.logs.is_some() || config.has_default_sinks(),
        };
        let setting = Setting { defaults, trust: config.trust(author, live.log_dir.is_some()) };
        // `--logs` says it before the configuration does.
        let fallback = match output.logs {
            Some(_) => fallback(&config.without_default_sinks(), live.config_file, &setting)?,
            None => fallback(config, live.config_file, &setting)?,
        };
        let mut outputs =
            Self::new(output, Plans::default(), &setting.trust.faults, settings, health, local_attributes.clone())?;
        outputs.spans =
            (output.spans.as_ref()).map(|out| span_queue(files.open(out)?, false, &outputs.health)).transpose()?;
        outputs.rotates = files.rotates;
        outputs.providers = Arc::new(config.providers());
        let _entered = runtime.enter();
        outputs.runtime = Some(runtime.handle().clone());
        let batch = BatchConfig::from_environment(&lookup).map_err(anyhow::Error::from)?;
        let exporters = ExporterSettings {
            batch,
            retry: RetryPolicy::default(),
            local_attributes: local_attributes.clone(),
            reach: setting.trust.reach.clone(),
            deadline: EXPORT_DEADLINE,
        };
        let directory = live.log_dir.or(config.log_directory());
        let reopen = files.reopen;
        let log_settings = log_settings(config.stdout_limit(author), directory)?;
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
        Ok((outputs, setting, fallback))
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
