//! `conformance run`: a server and a bank are started, the suite tests them, and what it found is told, kept and judged.

mod course;
mod expected;
mod junit;
mod queue;
pub(crate) mod report;
pub(crate) mod saved;
mod table;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::configuration;
use crate::deployment::{Deployment, Store, Wanted};
use crate::fault::Fault;
use crate::place::{Place, write_secret};
use crate::plan::{Choice, Ecosystem, Plan};
use crate::run::course::{Course, Planned};
use crate::run::expected::Expected;
use crate::run::saved::{ModuleRun, Outcome, PlanRun, Saved};
use crate::stop::Told;
use crate::suite::{Access, Suite};
use countersign::clock::{Clock, System};
use futures_util::future::{pending, select_all};
use serde_json::Value;

/// What to run, against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    access: Access,
    /// Plans, as in plain-ping-mtls-dynamic, or all
    #[arg(long, value_name = "PLAN", num_args = 1.., default_value = "all")]
    plan: Vec<Choice>,
    /// Modules of these plans, as in fapi-ciba-id1-refresh-token. Without it, all of them
    #[arg(long, value_name = "MODULE", num_args = 1..)]
    module: Vec<String>,
    /// How many modules at a time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// The time that a module has
    #[arg(long, value_name = "SECONDS", default_value_t = 420, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Write what was found as JUnit's XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Keep what was found in this folder, as run.json and as a page, report.html
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Where the exceptions are
    #[arg(long, value_name = "FOLDER", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/expected"))]
    expected: PathBuf,
    /// Test a server that is deployed elsewhere, with the configurations in this folder, as `conformance configs` writes them, in place of one that is started here
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["store", "nodes", "folder"])]
    configs: Option<PathBuf>,
    /// Where the servers keep what they have to remember: memory, or redis://host:port
    #[arg(long, value_name = "STORE", default_value = "memory")]
    store: Store,
    /// How many servers, behind one address; more than one need a Redis
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
    /// Where certificates, keys, configurations and logs go. Without it, a new folder, which stays only if something went wrong
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// The configurations of the plans, and what was started for them.
struct Tested {
    configurations: Vec<(Plan, Value)>,
    deployments: Vec<Deployment>,
}

/// Runs everything; whether it went as expected.
///
/// # Errors
/// It could not be run, or not to its end.
pub(crate) async fn run(options: Options) -> Result<bool, Fault> {
    let told = Told::listen()?;
    for (option, path, folder) in [
        ("--report", &options.report, options.report.as_deref()),
        ("--junit", &options.junit, options.junit.as_deref().and_then(Path::parent)),
    ] {
        if let (Some(path), Some(folder)) = (path, folder) {
            fs::create_dir_all(folder).map_err(|error| format!("{option} {}: {error}", path.display()))?;
        }
    }
    let expected = Expected::read(&options.expected, &Plan::chosen(&options.plan))?;
    let suite = told.unless(Suite::reach(&options.access)).await?;
    eprintln!("the suite: {} at {}", suite.version, options.access.suite);
    let mut place = Place::open(options.folder.as_deref())?;
    let begun = told.unless(tested(&options, &suite, place.path())).await;
    match begun {
        Ok(tested) => against(&options, (&suite, &expected), (tested, &mut place, &told)).await,
        Err(fault) => {
            look_at(&mut place, &options, &told);
            Err(fault)
        }
    }
}

/// Keeps what the servers were told and said, since something went wrong with it.
fn look_at(place: &mut Place, options: &Options, told: &Told) {
    if options.configs.is_none() && !told.already() && !place.is_empty() {
        place.keep();
        eprintln!("\nconfigurations and logs of the servers: {}", place.path().display());
    }
}

async fn against(
    options: &Options,
    (suite, expected): (&Suite, &Expected),
    (mut tested, place, told): (Tested, &mut Place, &Told),
) -> Result<bool, Fault> {
    let planned = told.unless(planned(options, suite, &tested.configurations)).await?;
    let mut saved = begun(options, suite, (&planned, &tested.configurations));
    // What cannot be written is known before anything is run.
    keep(options, &saved)?;
    let course =
        Course { suite, planned, parallel: options.parallel.into(), limit: Duration::from_secs(options.limit) };
    let servers = ended(&mut tested.deployments);
    let stop = async {
        tokio::select! {
            fault = servers => fault,
            fault = told.to_stop() => fault,
        }
    };
    let broken_off = course.run(&mut saved, |saved| keep(options, saved), stop).await.err();
    if broken_off.is_none() {
        saved.ended = Some(System.now().seconds());
    }
    expected.judge(&mut saved, (System.now().seconds(), &options.module))?;
    tell(options, &saved)?;
    if !saved.is_fine() {
        look_at(place, options, told);
    }
    broken_off.map_or(Ok(saved.is_fine()), Err)
}

/// Starts a server for each ecosystem among the plans, or reads the configurations that there are.
async fn tested(options: &Options, suite: &Suite, folder: &Path) -> Result<Tested, Fault> {
    let plans = Plan::chosen(&options.plan);
    let mut tested = Tested { configurations: Vec::new(), deployments: Vec::new() };
    if let Some(configs) = &options.configs {
        for plan in plans {
            let path = configs.join(format!("{plan}.json"));
            let text = fs::read_to_string(&path).map_err(|error| {
                format!("{}: {error}; `conformance configs` writes them, --plan says which are run", path.display())
            })?;
            let read = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            tested.configurations.push((plan, read));
        }
        return Ok(tested);
    }
    for (ecosystem, name) in [(Ecosystem::Plain, "plain"), (Ecosystem::OpenBankingUk, "uk")] {
        let plans: Vec<Plan> = plans.iter().copied().filter(|plan| plan.ecosystem == ecosystem).collect();
        if plans.is_empty() {
            continue;
        }
        let wanted = Wanted {
            ecosystem,
            plans,
            store: options.store.clone(),
            nodes: options.nodes.into(),
            suite: options.access.suite.trim_end_matches('/').to_owned(),
            vouched: Some(suite.vouched.clone()),
            folder: folder.join(name),
        };
        let deployment = Deployment::start(&wanted).await?;
        eprintln!("the server: {} on {}, for {name}", deployment.target.issuer, deployment.store);
        for plan in wanted.plans {
            let made = configuration::of(plan, &deployment.target, &deployment.clients)?;
            write_secret(&wanted.folder.join(format!("{plan}.json")), &format!("{made:#}\n"))?;
            tested.configurations.push((plan, made));
        }
        tested.deployments.push(deployment);
    }
    Ok(tested)
}

/// All plans are made before any module runs, so that what the suite does not want is known at once.
async fn planned(options: &Options, suite: &Suite, configurations: &[(Plan, Value)]) -> Result<Vec<Planned>, Fault> {
    let (mut planned, mut all) = (Vec::new(), Vec::new());
    for (plan, configuration) in configurations {
        let mut made = suite.make(*plan, configuration).await?;
        all.extend(made.modules.iter().map(|module| module.name.clone()));
        let alias = configuration["alias"].is_string();
        made.modules
            .retain(|module| options.module.is_empty() || options.module.iter().any(|name| **name == *module.name));
        planned.push(Planned { plan: *plan, made, alias });
    }
    let is_there =
        |name: &&String| planned.iter().any(|planned| planned.made.modules.iter().any(|it| *it.name == ***name));
    if let Some(stranger) = options.module.iter().find(|name| !is_there(name)) {
        let mut names: Vec<&str> = all.iter().map(|name| &**name).collect();
        names.sort_unstable();
        names.dedup();
        return Err(format!("--module {stranger}: none of these plans has it; they have\n{}", names.join("\n")).into());
    }
    Ok(planned)
}

fn begun(options: &Options, suite: &Suite, (planned, configurations): (&[Planned], &[(Plan, Value)])) -> Saved {
    let not_run = |name: &str| ModuleRun {
        module: name.to_owned(),
        link: None,
        outcome: Outcome::NotRun,
        seconds: 0,
        entries: Vec::new(),
        excused: None,
    };
    let plan = |planned: &Planned| PlanRun {
        plan: planned.plan.to_string(),
        link: suite.plan_link(&planned.made.id),
        seconds: 0,
        modules: planned.made.modules.iter().map(|module| not_run(&module.name)).collect(),
    };
    Saved {
        suite: options.access.suite.clone(),
        suite_version: suite.version.clone(),
        server: server(options, configurations),
        started: System.now().seconds(),
        ended: None,
        plans: planned.iter().map(plan).collect(),
        faults: Vec::new(),
    }
}

/// Which server is tested: our own, by version and by what the checkout is at where this is one; another, by where it is.
fn server(options: &Options, configurations: &[(Plan, Value)]) -> String {
    if options.configs.is_some() {
        let at = configurations.first().and_then(|(_, first)| first["server"]["discoveryUrl"].as_str());
        return format!("at {}", at.unwrap_or("an unknown address"));
    }
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let commit = described
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let store =
        format!("{} node{} on {}", options.nodes, if options.nodes == 1 { "" } else { "s" }, kind(&options.store));
    format!(
        "countersign {} ({}), {store}",
        env!("CARGO_PKG_VERSION"),
        commit.map_or_else(|| "no checkout".to_owned(), |commit| format!("checkout at {}", commit.trim()))
    )
}

const fn kind(store: &Store) -> &'static str {
    match store {
        Store::Memory => "memory",
        Store::Redis(_) => "Redis",
    }
}

/// Ends when one of the deployments does, which it should not.
async fn ended(deployments: &mut [Deployment]) -> Fault {
    if deployments.is_empty() {
        return pending().await;
    }
    let (fault, ..) = select_all(deployments.iter_mut().map(|deployment| Box::pin(deployment.ended()))).await;
    fault
}

fn tell(options: &Options, saved: &Saved) -> Result<(), Fault> {
    io::stdout().write_all(table::of(saved).as_bytes())?;
    keep(options, saved)?;
    if let Some(folder) = &options.report {
        eprintln!("\nthe report: {}", report::write(saved, folder)?.display());
    }
    Ok(())
}

/// Writes what there is so far where it is to be kept.
fn keep(options: &Options, saved: &Saved) -> Result<(), Fault> {
    if let Some(folder) = &options.report {
        saved.write(folder).map_err(|error| format!("--report {}: {error}", folder.display()))?;
    }
    if let Some(path) = &options.junit {
        fs::write(path, junit::of(saved)).map_err(|error| format!("--junit {}: {error}", path.display()))?;
    }
    Ok(())
}
