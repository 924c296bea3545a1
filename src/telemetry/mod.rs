//! What a server tells of itself: log lines on standard error, and, where the configuration names a collector, spans and metrics to it
//! (OpenTelemetry). docs/telemetry.md lists the names. Nothing here can hold a secret, nor delay or fail a request.

pub mod collector;
pub mod context;
mod exports;
mod lines;
pub mod metrics;
mod outlet;

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{panic, thread};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Builder, Runtime};
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::telemetry::collector::Collector;
use crate::telemetry::metrics::Metrics;
pub use crate::telemetry::outlet::Outlet;

/// How long the last of it may take to leave when the server ends.
const FAREWELL: Duration = Duration::from_secs(4);

/// How long the last lines of the log may take to be written.
pub const LAST_LINES: Duration = Duration::from_secs(1);

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

/// What is installed for this process, for as long as it is kept.
pub struct Telemetry {
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    spans: Option<SdkTracerProvider>,
    /// Where log lines go, if that is standard error.
    pub log: Option<LastLines>,
    /// What calls the collector, apart from what carries out requests.
    runtime: Option<Runtime>,
}

/// Has the last lines written when dropped, also where a panic is what ends it all.
pub struct LastLines(pub Outlet);

impl Drop for LastLines {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}

impl Telemetry {
    /// Has the rest of it leave, and waits four seconds for that, and one for the log.
    pub fn end(self) {
        let Self { metrics, spans, log, runtime } = self;
        let (done, left) = channel();
        let leaving = thread::Builder::new().name("farewell".into()).spawn(move || {
            // Whatever keeps the collector from taking it was logged when it began.
            spans.map(|spans| spans.shutdown_with_timeout(FAREWELL).ok());
            metrics.end(FAREWELL);
            done.send(())
        });
        if leaving.is_ok() {
            left.recv_timeout(FAREWELL).ok();
        }
        drop(log);
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
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
    instance: &str,
) -> Result<(Dispatch, Telemetry), Box<dyn Error + Send + Sync>>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log.format {
        Format::Json => lines.event_format(lines::Traced::default()).boxed(),
        Format::Pretty => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).with_target(false).boxed(),
    };
    // One filter, so that it is known of each place in the code once and for all whether it is told of: where nobody traces, no span is made.
    let told = move |about: &Metadata<'_>| *about.level() <= log.level && is_told(about);
    let lines = lines.with_filter(FilterFn::new(told).with_max_level_hint(log.level));
    let resource = collector::resource(instance);
    let (spans, metrics) = match collector {
        None => (None, Metrics::new(resource, (Arc::default(), None))),
        Some(collector) => {
            let (exports, leaving) = collector.metrics()?;
            (
                collector.spans((resource.clone(), instance), exports.clone())?,
                Metrics::new(resource, (exports, leaving)),
            )
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
    let telemetry = Telemetry { metrics: Arc::new(metrics), spans, log: None, runtime: None };
    // A layer that is none would count as one that wants spans.
    let dispatch = match traced {
        None => Dispatch::new(registry().with(lines)),
        Some(traced) => Dispatch::new(registry().with(lines).with(traced)),
    };
    Ok((dispatch, telemetry))
}

/// Of our own whatever there is; of libraries nothing below `info`, for they would say whom clients have us call; and of those that tell the collector only that spans or metrics were lost, since [`collector`] says the rest.
fn is_told(about: &Metadata<'_>) -> bool {
    let ours = about.target().starts_with(OURS);
    let lost = ["Dropp", "PartialSuccess"].iter().any(|word| about.name().contains(word));
    let teller = about.target().starts_with("opentelemetry");
    about.is_event() && (ours || (*about.level() <= Level::INFO && (!teller || lost)))
}

/// The same with the log on standard error, installed for this process.
///
/// # Errors
/// As for [`prepare`], and where something else was installed before.
pub fn install(
    log: Log,
    collector: Option<&Collector>,
    instance: &str,
) -> Result<Telemetry, Box<dyn Error + Send + Sync>> {
    let outlet = Outlet::to(io::stderr())?;
    let build = || Builder::new_multi_thread().worker_threads(1).thread_name("telemetry").enable_all().build();
    let runtime = collector.is_some().then(build).transpose()?;
    let within = runtime.as_ref().map(Runtime::enter);
    let (dispatch, telemetry) = prepare((log, outlet.clone()), collector, instance)?;
    drop(within);
    tracing::dispatcher::set_global_default(dispatch)?;
    let counted = outlet.clone();
    telemetry.metrics.count_lines(move || counted.lost());
    // A panic is a line like others, without what was said: that may be anything. It waits for nobody either.
    panic::set_hook(Box::new(|panic| tracing::error!(at = panic.location().map(display), "a panic")));
    Ok(Telemetry { log: Some(LastLines(outlet)), runtime, ..telemetry })
}
