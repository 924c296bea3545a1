//! [`Suite`]: the OpenID conformance suite, over its REST API. Every call has an end, and what goes wrong says what to do.

pub(crate) mod entry;
pub(crate) mod trust;

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::fault::Fault;
use crate::plan::{NAME, Plan};
use crate::suite::entry::{Entry, shortened};
use crate::suite::trust::Vouched;

/// Where a suite on one's own machine is, by itself.
pub(crate) const LOCAL: &str = "https://localhost.emobix.co.uk:8443";

/// How long the suite may take over an answer. It compiles nothing, but a busy machine may be slow.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one question about a module may hang before it is asked again.
const GLANCE: Duration = Duration::from_secs(20);
/// Larger answers than any log of a module.
const LARGEST: usize = 64 << 20;

/// Where a suite is, and how to be let in.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Access {
    /// The suite
    #[arg(long, value_name = "URL", default_value = LOCAL)]
    pub(crate) suite: String,
    /// Who vouches for the certificate of the suite, or of whoever else is pinged, if not an authority of the system. On a loopback address whatever a suite shows is believed
    #[arg(long, value_name = "FILE")]
    suite_ca: Option<PathBuf>,
    /// A file with an API token of the suite, where it wants one
    #[arg(long, value_name = "FILE")]
    suite_token: Option<PathBuf>,
}

impl Access {
    /// Who vouches for the suite, or for whoever else is to be pinged, where they are named: nobody has to be there for that.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate in it.
    pub(crate) fn named(&self) -> Result<Option<Vouched>, Fault> {
        self.suite_ca.as_deref().map(|file| trust::read(file).map(Vouched::By)).transpose()
    }
}

/// A suite that answers.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    url: String,
    http: reqwest::Client,
    token: Option<String>,
    /// Its version, as it says it.
    pub(crate) version: String,
    /// Why it is believed.
    pub(crate) vouched: Vouched,
}

/// A plan that the suite has made.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) id: Name,
    pub(crate) modules: Vec<Module>,
}

/// A module of a plan.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Module {
    #[serde(rename = "testModule")]
    pub(crate) name: Name,
    variant: Option<Value>,
}

/// What the suite calls a plan, a module or a run: letters, digits, `-` and `_`, so that it can be put into a path and shown on a terminal as it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_one = !text.is_empty() && text.len() <= 200 && text.bytes().all(may);
        if is_one {
            Ok(Self(text))
        } else {
            Err("a name in it has more than letters, digits, - and _, or none of them")
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What the suite says of a module's run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Info {
    pub(crate) status: String,
    pub(crate) result: Option<String>,
}

#[derive(Deserialize)]
struct Id {
    id: Name,
}

#[derive(Deserialize)]
struct State {
    state: Option<String>,
}

/// Why a module was not started.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// Something else runs under its alias.
    AliasTaken,
    /// Anything else.
    Fault(Fault),
}

impl Suite {
    /// Looks whether there is a suite.
    ///
    /// # Errors
    /// There is none, it cannot be believed, or it does not let us in.
    pub(crate) async fn reach(access: &Access) -> Result<Self, Fault> {
        let url = access.suite.trim_end_matches('/').to_owned();
        let (http, vouched) = trust::client((&url, access.suite_ca.as_deref()), PATIENCE).await?;
        let token = access.suite_token.as_deref().map(secret).transpose()?;
        let suite = Self { url, http, token, version: String::new(), vouched };
        let server = suite.ask((Method::GET, "server"), &[], None).await?;
        let said = |member: &str| shortened(server[member].as_str().unwrap_or_default());
        if server["version"].as_str().is_none() {
            return Err(format!("{} answers, but not as a conformance suite does", suite.url).into());
        }
        suite.ask((Method::GET, "plan"), &[("length", "1")], None).await?;
        Ok(Self { version: format!("{} ({})", said("version"), said("revision")), ..suite })
    }

    /// Has a plan made.
    ///
    /// # Errors
    /// The suite does not want it, and says why; or there is nothing in it.
    pub(crate) async fn make(&self, plan: Plan, configuration: &Value) -> Result<Made, Fault> {
        let variant = plan.variant().to_string();
        let parameters = [("planName", NAME), ("variant", variant.as_str())];
        let made = self.ask((Method::POST, "plan"), &parameters, Some(configuration)).await;
        let made: Result<Made, Fault> = made.and_then(|made| read(made, "a plan"));
        match made {
            Ok(made) if made.modules.is_empty() => Err(format!("the suite has no modules for {plan}").into()),
            made => made.map_err(|why| format!("{plan} was not made: {why}").into()),
        }
    }

    /// Starts a module; the id of its run comes back.
    pub(crate) async fn start(&self, plan: &Made, module: &Module) -> Result<Name, NotStarted> {
        let variant = module.variant.as_ref().map(Value::to_string);
        let mut parameters = vec![("test", &*module.name), ("plan", &*plan.id)];
        parameters.extend(variant.as_deref().map(|variant| ("variant", variant)));
        match self.call((Method::POST, "runner"), &parameters, None).await {
            Ok((StatusCode::CONFLICT, _)) => Err(NotStarted::AliasTaken),
            Ok(answer) => sound("runner", answer)
                .and_then(|started| read::<Id>(started, "a module"))
                .map(|Id { id }| id)
                .map_err(NotStarted::Fault),
            Err(fault) => Err(NotStarted::Fault(fault)),
        }
    }

    /// Waits a while for a module to end; whether it did.
    ///
    /// # Errors
    /// The suite does not say.
    pub(crate) async fn ended(&self, run: &str) -> Result<bool, Fault> {
        let wait = GLANCE.as_millis().to_string();
        let parameters = [("states", "FINISHED,INTERRUPTED"), ("timeoutMs", wait.as_str())];
        let state = self.ask((Method::GET, &format!("runner/{run}/wait-state")), &parameters, None).await?;
        let State { state } = read(state, "a state")?;
        Ok(state.is_some_and(|state| state == "FINISHED" || state == "INTERRUPTED"))
    }

    /// Stops a module.
    ///
    /// # Errors
    /// The suite does not say that it did.
    pub(crate) async fn cancel(&self, run: &str) -> Result<(), Fault> {
        self.ask((Method::DELETE, &format!("runner/{run}")), &[], None).await.map(drop)
    }

    /// How a module ended.
    ///
    /// # Errors
    /// The suite does not say.
    pub(crate) async fn info(&self, run: &str) -> Result<Info, Fault> {
        read(self.ask((Method::GET, &format!("info/{run}")), &[], None).await?, "what it knows of a module")
    }

    /// What a module logged.
    ///
    /// # Errors
    /// The suite does not say.
    pub(crate) async fn log(&self, run: &str) -> Result<Vec<Entry>, Fault> {
        let log = self.ask((Method::GET, &format!("log/{run}")), &[], None).await?;
        let Value::Array(entries) = log else { return Err("the suite's log is no list".into()) };
        Ok(entry::bounded(entries.iter().filter_map(Entry::read).collect()))
    }

    /// Where people read what a module logged.
    pub(crate) fn link(&self, run: &str) -> String {
        format!("{}/log-detail.html?log={run}", self.url)
    }

    /// Where people look at a plan.
    pub(crate) fn plan_link(&self, id: &str) -> String {
        format!("{}/plan-detail.html?plan={id}", self.url)
    }

    async fn ask(
        &self,
        (method, path): (Method, &str),
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        sound(path, self.call((method, path), parameters, body).await?)
    }

    async fn call(
        &self,
        (method, path): (Method, &str),
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Vec<u8>), Fault> {
        let mut url = url::Url::parse(&format!("{}/api/{path}", self.url))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = self.http.request(method, url).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| self.unreachable(&error);
        let mut answer = request.send().await.map_err(unreachable)?;
        let (status, mut whole) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            whole.extend_from_slice(&chunk);
            if whole.len() > LARGEST {
                return Err(format!("the suite's answer to {path} does not end").into());
            }
        }
        Ok((status, whole))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            return format!("the suite at {} does not answer within {} s", self.url, PATIENCE.as_secs()).into();
        }
        format!(
            "the suite at {} cannot be reached ({}); docs/conformance.md says how it is started, --suite where it is",
            self.url,
            trust::innermost(error)
        )
        .into()
    }
}

/// A good answer, as JSON.
fn sound(path: &str, (status, body): (StatusCode, Vec<u8>)) -> Result<Value, Fault> {
    let json: Option<Value> = serde_json::from_slice(&body).ok();
    if status.is_success() {
        // Some answers have no body.
        return match json {
            Some(json) => Ok(json),
            None if body.is_empty() => Ok(Value::Null),
            None => Err(format!("the suite's answer to {path} is not JSON").into()),
        };
    }
    // Where it failed itself, the message says more than the error.
    let says = json.as_ref().and_then(|json| json["message"].as_str().or_else(|| json["error"].as_str()));
    let hint = if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN || status.is_redirection() {
        "; it wants an API token: --suite-token FILE"
    } else {
        ""
    };
    Err(format!(
        "the suite answers {status} to {path}{}{}{hint}",
        if says.is_some() { ": " } else { "" },
        says.map(shortened).unwrap_or_default()
    )
    .into())
}

fn read<T: for<'de> Deserialize<'de>>(json: Value, what: &str) -> Result<T, Fault> {
    serde_json::from_value(json).map_err(|error| format!("the suite's answer is not {what}: {error}").into())
}

fn secret(path: &Path) -> Result<String, Fault> {
    let text = fs::read_to_string(path).map_err(|error| format!("--suite-token {}: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}
