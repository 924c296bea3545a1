//! [`Collector`]: where spans and metrics go, over OTLP. Both leave from threads of their own, out of queues that are bounded: a collector that is slow, or gone, costs what
//! it does not take, and no request its time.

use std::error::Error;
use std::iter;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::HeaderMap;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    MetricExporter, Protocol as Otlp, SpanExporter as OtlpSpans, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    SpanData, SpanExporter,
};
use rustls::ClientConfig;
use tokio::runtime::Handle;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::secret::{Digest, Secret};
use crate::telemetry::exports::{Exports, Signal};

/// How long the collector may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(2);
/// How long a batch may take to leave, with all that is tried for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long spans are gathered before they leave.
const GATHERED: Duration = Duration::from_secs(1);
/// How many spans wait at most; those that come then are lost.
const WAITING: usize = 8_192;
/// How many leave at once at most.
const BATCH: usize = 512;

/// Which of the two OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/HTTP with protobuf, commonly at port 4318.
    Http,
    /// OTLP/gRPC, commonly at port 4317.
    Grpc,
}

/// Where spans and metrics go, and how much of them.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Its URL, without a path: `https://collector.example:4318`.
    pub url: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whom to trust there, and as whom to appear.
    pub tls: ClientConfig,
    /// What every call carries beside, such as an API key.
    pub headers: Vec<(String, Secret)>,
    /// Of a hundred requests, how many are traced.
    pub traced_percent: u8,
    /// How often metrics leave; never, if there is none.
    pub metrics_every: Option<Duration>,
}

/// Who tells.
pub(super) fn resource(instance: &str) -> Resource {
    let own = [("service.version", env!("CARGO_PKG_VERSION").to_owned()), ("service.instance.id", instance.to_owned())];
    let own = own.map(|(name, value)| KeyValue::new(name, value));
    Resource::builder_empty().with_service_name("countersign").with_attributes(own).build()
}

type Built<T> = Result<T, Box<dyn Error + Send + Sync>>;

impl Collector {
    /// What has spans leave, if any are to.
    pub(super) fn spans(
        &self,
        (resource, instance): (Resource, &str),
        exports: Arc<Exports>,
    ) -> Built<Option<SdkTracerProvider>> {
        if self.traced_percent == 0 {
            return Ok(None);
        }
        let exporter = match self.protocol {
            Protocol::Http => {
                let http = OtlpSpans::builder().with_http().with_protocol(Otlp::HttpBinary).with_timeout(DEADLINE);
                http.with_endpoint(format!("{}/v1/traces", self.url)).with_http_client(self.http(&exports)?).build()
            }
            Protocol::Grpc => {
                let grpc = OtlpSpans::builder().with_tonic().with_channel(self.grpc()?).with_timeout(DEADLINE);
                grpc.with_metadata(self.metadata()?).build()
            }
        };
        let exporter = Watched::new(exporter?, Told::new(exports, Signal::Spans));
        let batches = BatchConfigBuilder::default().with_max_queue_size(WAITING).with_max_export_batch_size(BATCH);
        let batches = batches.with_scheduled_delay(GATHERED).build();
        let leaving = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let sampled = Sampled { percent: self.traced_percent, salt: instance.to_owned() };
        let provider = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampled);
        Ok(Some(provider.with_span_processor(leaving).build()))
    }

    /// What has metrics leave, and where it is noted whether they do.
    pub(super) fn metrics(&self) -> Built<(Arc<Exports>, Option<Leaving>)> {
        let exports = Arc::<Exports>::default();
        let Some(every) = self.metrics_every else { return Ok((exports, None)) };
        let exporter = match self.protocol {
            Protocol::Http => {
                let http = MetricExporter::builder().with_http().with_protocol(Otlp::HttpBinary).with_timeout(DEADLINE);
                http.with_endpoint(format!("{}/v1/metrics", self.url)).with_http_client(self.http(&exports)?).build()
            }
            Protocol::Grpc => {
                let grpc = MetricExporter::builder().with_tonic().with_channel(self.grpc()?).with_timeout(DEADLINE);
                grpc.with_metadata(self.metadata()?).build()
            }
        };
        let exporter = Watched::new(exporter?, Told::new(exports.clone(), Signal::Metrics));
        Ok((exports, Some(PeriodicReader::builder(exporter).with_interval(every).build())))
    }

    fn connector(&self) -> HttpsConnector<HttpConnector> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http();
        match self.protocol {
            Protocol::Http => tls.enable_http1().wrap_connector(tcp),
            Protocol::Grpc => tls.enable_http2().wrap_connector(tcp),
        }
    }

    fn http(&self, exports: &Arc<Exports>) -> Built<OnRuntime> {
        let client = HyperClient::new(self.connector(), DEADLINE, None);
        Ok(OnRuntime {
            client,
            headers: self.metadata()?.into_headers(),
            runtime: Handle::current(),
            exports: exports.clone(),
        })
    }

    fn grpc(&self) -> Built<Channel> {
        let endpoint = Endpoint::from_shared(self.url.clone())?.timeout(DEADLINE).connect_timeout(CONNECT);
        Ok(endpoint.connect_with_connector_lazy(self.connector()))
    }

    fn metadata(&self) -> Built<MetadataMap> {
        let mut metadata = MetadataMap::new();
        for (name, value) in &self.headers {
            let name: MetadataKey<Ascii> = name.parse()?;
            let mut value: MetadataValue<Ascii> = value.reveal().parse()?;
            value.set_sensitive(true);
            metadata.insert(name, value);
        }
        Ok(metadata)
    }
}

/// What reads metrics at each interval and has them leave.
pub(super) type Leaving = PeriodicReader<Watched<MetricExporter>>;

/// A client for threads that are not the runtime's, whose calls carry what they have to, whatever the environment says.
#[derive(Debug)]
struct OnRuntime {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    headers: HeaderMap,
    runtime: Handle,
    exports: Arc<Exports>,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let client = self.client.clone();
        request.headers_mut().extend(self.headers.clone());
        let answer = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        self.exports.failed_for(answer.as_ref().err().map(|error| innermost(&**error)));
        answer
    }
}

/// What began it all.
fn innermost(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |error| (*error).source()).last().unwrap_or(error).to_string()
}

/// Which requests are traced: within a span of ours as that is; any other by its trace id and a word that callers do not know, so that nobody can choose one that is traced.
#[derive(Clone, Debug)]
struct Sampled {
    percent: u8,
    salt: String,
}

impl Sampled {
    fn is_traced(&self, trace_id: TraceId) -> bool {
        Digest::of_parts(&[&self.salt, &trace_id.to_string()]).lot() % 100 < u64::from(self.percent)
    }
}

impl ShouldSample for Sampled {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let ours = parent.map(|parent| parent.span().span_context().clone());
        let ours = ours.filter(|ours| ours.is_valid() && !ours.is_remote());
        let traced = ours.map_or_else(|| self.is_traced(trace_id), |ours| ours.is_sampled());
        let decision = if traced { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

/// An exporter that comes to an end, and whose failures are counted, and logged when they begin and when they end.
#[derive(Debug)]
pub(super) struct Watched<E> {
    inner: E,
    told: Told,
    runtime: Handle,
}

impl<E> Watched<E> {
    fn new(inner: E, told: Told) -> Self {
        Self { inner, told, runtime: Handle::current() }
    }

    /// Waits for `leaving`, with all its tries, for so long and no longer: a collector may begin to answer and never end.
    async fn in_time(&self, leaving: impl Future<Output = OTelSdkResult> + Send) -> OTelSdkResult {
        let end = {
            let _within = self.runtime.enter();
            tokio::time::sleep(PATIENCE)
        };
        let left = match select(pin!(leaving), pin!(end)).await {
            Either::Left((left, _)) => left,
            Either::Right(_) => Err(OTelSdkError::Timeout(PATIENCE)),
        };
        self.told.note(left)
    }
}

#[derive(Debug)]
struct Told {
    exports: Arc<Exports>,
    signal: Signal,
    failing: AtomicBool,
}

impl Told {
    const fn new(exports: Arc<Exports>, signal: Signal) -> Self {
        Self { exports, signal, failing: AtomicBool::new(false) }
    }

    fn note(&self, left: OTelSdkResult) -> OTelSdkResult {
        self.exports.count(self.signal, left.is_ok());
        let signal = self.signal.word();
        match (self.failing.swap(left.is_err(), Ordering::Relaxed), &left) {
            (false, Err(error)) => {
                let cause = self.exports.cause();
                tracing::warn!(signal, %error, cause, "the collector does not take what it is sent, which is lost until it does");
            }
            (true, Ok(())) => tracing::info!(signal, "the collector takes what it is sent again"),
            (true, Err(_)) | (false, Ok(())) => {}
        }
        left
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.in_time(self.inner.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.in_time(self.inner.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.inner.temporality()
    }
}
