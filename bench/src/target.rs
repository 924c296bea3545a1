//! `--target`: any other CIBA server, loaded in the same way.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::Value;

use crate::Told;
use crate::bounds::Bounds;
use crate::cores::{Cores, Had};
use crate::course::{Approves, Course, Phase};
use crate::load::Way;
use crate::row::Row;
use crate::run::{Found, Size};
use crate::stage::{Stage, places, public_keys};
use crate::till::{Kind, Till};
use crate::{special, tls};

/// How another server is reached.
#[derive(Clone, Debug, Args)]
#[group(requires = "target")]
pub(crate) struct Options {
    /// Load this issuer in place of a server of ours; `bench clients` says which clients it has to know
    #[arg(long, value_name = "ISSUER", requires = "keys", conflicts_with_all = ["only", "without", "repeats"])]
    pub(crate) target: Option<String>,
    /// The folder of the clients' keys and certificate, as `countersign certs dev` makes it
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// Who vouches for the certificate of the issuer: a file of authorities [default: ca.pem of --keys]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Load it as these clients alone: --as es256,mtls
    #[arg(long = "as", value_name = "CLIENT", value_enum, value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// Requests of each client, and a tenth more to warm up
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    requests: u32,
    /// Its process, if it is on this machine: for what it spends, and the memory it has
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// The user to ask for [default: alice-000000000000 and so on]
    #[arg(long, value_name = "LOGIN_HINT")]
    hint: Option<String>,
    /// A shell command that reads auth_req_ids, one a line, and ends when all are approved; without it no tokens are fetched
    #[arg(long, value_name = "COMMAND")]
    approve: Option<String>,
}

/// Measures the server at `issuer`.
pub(crate) async fn run(issuer: &str, (options, size): (&Options, Size), say: &dyn Fn(&str)) -> Told<Found> {
    let keys = options.keys.as_ref().ok_or("--keys is missing")?;
    let cores = Cores::choose()?;
    crate::cores::pin(cores.load)?;
    if let Some(pid) = options.pid {
        Had::by(pid).map_err(|error| format!("--pid {pid}: there is no such process ({error})"))?;
    }
    let trust = options.trust.clone().unwrap_or_else(|| keys.join("ca.pem"));
    let client = Arc::new(tls::client_of(keys, "till", tls::authorities(&trust)?)?);
    let issuer = issuer.trim_end_matches('/');
    let way = Way::to(issuer, client.clone()).await?;
    let places = places(&way, issuer).await?;
    // Where clients show their certificates may be another host.
    let origin = |url: &str| Ok::<_, url::ParseError>(url::Url::parse(url)?.origin());
    if origin(&places.token)? != origin(&places.backchannel)? {
        return Err(format!(
            "{} and {} are of two origins, which is more than the load can do",
            places.token, places.backchannel
        )
        .into());
    }
    let way = Way::to(&places.token, client).await?;
    say("what the machine can do");
    let stage = Stage::put_up(cores).await?;
    let bounds = Bounds::measure(&stage.certs, cores, size.primitive)?;
    let bounds = special::echo(&stage, bounds, size.echoes).await?;
    let phases: &[Phase] = match options.approve {
        Some(_) => &[Phase::Open, Phase::Poll, Phase::Issue],
        None => &[Phase::Open, Phase::Poll],
    };
    let kinds = if options.kinds.is_empty() { &Kind::ALL[..] } else { &options.kinds };
    let mut rows = Vec::new();
    for kind in kinds {
        say(kind.word());
        let course = Course {
            till: Till::open(*kind, keys, (places.clone(), options.hint.clone()))?,
            way: way.clone(),
            approves: options.approve.clone().map_or(Approves::Nobody, Approves::Command),
            pid: options.pid,
            metrics: None,
            cores,
        };
        for (phase, measured) in course.run(usize::try_from(options.requests)?, phases).await? {
            let bound = crate::workload::bound(phase, *kind)(&bounds);
            rows.push(Row::of(format!("{}-{}", phase.word(), kind.word()), &measured, (Some(bound), None)));
        }
    }
    Ok(Found { bounds, rows })
}

/// The registrations of the clients with the keys of the folder `keys`, as one JSON array.
pub(crate) fn clients(keys: &std::path::Path) -> Told<String> {
    let jwks = public_keys(keys)?;
    let clients: Vec<Value> = Kind::ALL.iter().map(|kind| kind.metadata(&jwks)).collect();
    Ok(serde_json::to_string_pretty(&clients)?)
}
