//! What a server tells of itself: log lines on standard error, and, where the configuration names a collector, spans and metrics to it
//! (OpenTelemetry). docs/telemetry.md lists the names. Nothing here can hold a secret, nor delay or fail a request.

pub mod collector;
pub mod context;
mod exports;
mod lines;
pub mod metrics;

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::{Builder, Runtime};
use tracing::{Dispatch, Level, Metadata};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::telemetry::collector::Collector;
use crate::telemetry::metrics::Metrics;

/// How long the last of it may take to leave when the server ends.
const FAREWELL: Duration = Duration::from_secs(4);

/// How many log lines may wait.
const LINES: usize = 16_384;

/// How many bytes leave at once, of lines that are no longer: what Linux puts into a pipe in one piece (PIPE_BUF).
const TOGETHER: usize = 4_096;

/// How long what writes lines rests between two times.
const REST: Duration = Duration::from_millis(10);

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

/// Has a thread of its own write lines to `writer`, so that whoever does not read them holds up nobody; what does not fit into memory meanwhile is lost, and
/// counted. Lines that wait together leave together, but no more than a pipe takes in one piece.
fn unhurried(writer: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    let writer = Unhurried(BufWriter::with_capacity(TOGETHER, writer));
    NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(writer)
}

/// Rests after all that waited has been written: what is logged meanwhile then wakes nobody, and leaves together.
struct Unhurried<W>(W);

impl<W: Write> Write for Unhurried<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        thread::sleep(REST);
        flushed
    }
}

/// What is installed for this process, for as long as it is kept.
pub struct Telemetry {
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    spans: Option<SdkTracerProvider>,
    log: Option<WorkerGuard>,
    /// What calls the collector, apart from what carries out requests.
    runtime: Option<Runtime>,
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
    let (writer, guard) = unhurried(io::stderr());
    let lost = writer.error_counter();
    let build = || Builder::new_multi_thread().worker_threads(1).thread_name("telemetry").enable_all().build();
    let runtime = collector.is_some().then(build).transpose()?;
    let within = runtime.as_ref().map(Runtime::enter);
    let (dispatch, telemetry) = prepare((log, writer), collector, instance)?;
    drop(within);
    tracing::dispatcher::set_global_default(dispatch)?;
    telemetry.metrics.count_lines(move || lost.dropped_lines());
    Ok(Telemetry { log: Some(guard), runtime, ..telemetry })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender};

    use super::*;

    /// Says what is written, and takes it once it may.
    struct Held(Sender<Vec<u8>>, Receiver<()>);

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_leave_together_and_whole() {
        let ((says, said), (lets, let_go)) = (channel(), channel());
        let (mut writer, guard) = unhurried(Held(says, let_go));
        let line = |n: usize| format!("{n:0>99}\n").into_bytes();
        writer.write_all(&line(0)).expect("it is taken");
        assert_eq!(
            said.recv_timeout(Duration::from_mins(1)).expect("it is written"),
            line(0),
            "the first waits for no other"
        );
        for n in 1..=60 {
            writer.write_all(&line(n)).expect("it is taken");
        }
        for lines in [0..0, 1..41, 41..61] {
            lets.send(()).expect("it waits");
            if !lines.is_empty() {
                assert_eq!(
                    said.recv_timeout(Duration::from_mins(1)).expect("it is written"),
                    lines.map(line).collect::<Vec<_>>().concat()
                );
            }
        }
        lets.send(()).expect("it waits");
        drop(guard);
        assert!(said.try_recv().is_err(), "that was all");
    }
}
