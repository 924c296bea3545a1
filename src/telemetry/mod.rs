//! What a server tells of itself: log lines on standard error, and, where the configuration names a collector, spans and metrics to it
//! (OpenTelemetry). docs/telemetry.md lists the names. Nothing here can hold a secret, nor delay or fail a request.

pub mod collector;
pub mod context;
mod lines;
pub mod metrics;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Dispatch, Metadata};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::telemetry::collector::Collector;
use crate::telemetry::metrics::Metrics;

/// How long the last of it may take to leave when the server ends, for spans and for metrics.
const FAREWELL: Duration = Duration::from_secs(2);

/// The spans that are told to a collector are ours, and those of no library.
const OURS: &str = "countersign";

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Pretty,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How a line looks.
    pub format: Format,
    /// Which lines.
    pub level: LevelFilter,
}

/// What is installed for this process.
pub struct Telemetry {
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    spans: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Has the rest of it leave, and waits for that two seconds each for spans and metrics. To be called while the runtime is there.
    pub fn end(self) {
        // Whatever keeps the collector from taking it was logged when it began.
        self.spans.map(|spans| spans.shutdown_with_timeout(FAREWELL).ok());
        self.metrics.end(FAREWELL);
    }
}

/// What `log` writes to `writer`, and what goes to the `collector`, to which this server is known as `instance`, as one value to install. To be called within a tokio
/// runtime.
///
/// # Errors
/// The collector's address is none, or a header for it cannot be one.
pub fn prepare<W>(
    (log, writer): (Log, W),
    collector: Option<&Collector>,
    instance: String,
) -> Result<(Dispatch, Telemetry), Box<dyn Error + Send + Sync>>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let told = |about: &Metadata<'_>| about.is_event() && !about.target().starts_with("opentelemetry");
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log.format {
        Format::Json => lines.event_format(lines::Traced::default()).boxed(),
        Format::Pretty => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).with_target(false).boxed(),
    };
    let lines = lines.with_filter(FilterFn::new(told).with_max_level_hint(log.level)).with_filter(log.level);
    let resource = collector::resource(instance);
    let (spans, metrics) = match collector {
        None => (None, Metrics::new(resource, (Arc::default(), None))),
        Some(collector) => {
            let (exports, leaving) = collector.metrics()?;
            (collector.spans(resource.clone(), exports.clone())?, Metrics::new(resource, (exports, leaving)))
        }
    };
    let traced = spans.as_ref().map(|spans| {
        let ours = FilterFn::new(|about: &Metadata<'_>| about.is_span() && about.target().starts_with(OURS));
        tracing_opentelemetry::layer()
            .with_tracer(spans.tracer(OURS))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    });
    Ok((Dispatch::new(registry().with(lines).with(traced)), Telemetry { metrics: Arc::new(metrics), spans }))
}

/// The same with the log on standard error, installed for this process.
///
/// # Errors
/// As for [`prepare`], and where something else was installed before.
pub fn install(
    log: Log,
    collector: Option<&Collector>,
    instance: String,
) -> Result<Telemetry, Box<dyn Error + Send + Sync>> {
    let (dispatch, telemetry) = prepare((log, io::stderr), collector, instance)?;
    tracing::dispatcher::set_global_default(dispatch)?;
    Ok(telemetry)
}
