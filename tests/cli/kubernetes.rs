//! `deploy/kubernetes`: what a cluster is told, held to what docs/deploy.md says of it. tests/cli/pod.rs starts a server from it.

use std::collections::BTreeSet;
use std::fs;

use countersign::http::serve::Limits;
use serde_json::{Value, json};

use crate::deployment::shipped;
use crate::yaml::documents;

const FOLDER: &str = "deploy/kubernetes";

/// What every selector asks for.
fn ours() -> Value {
    json!({"app.kubernetes.io/name": "countersign"})
}

/// Everything that the kustomization applies.
fn applied() -> Vec<Value> {
    let [kustomization] = documents(&format!("{FOLDER}/kustomization.yaml")).try_into().expect("one document");
    let resources = texts(&kustomization["resources"]);
    resources.iter().flat_map(|name| documents(&format!("{FOLDER}/{name}"))).collect()
}

/// The one of that kind and name.
#[track_caller]
fn one(kind: &str, name: &str) -> Value {
    let mut found = applied();
    found.retain(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let [found] = found.try_into().unwrap_or_else(|found| panic!("not one {kind} {name}: {found:?}"));
    found
}

fn servers() -> Value {
    one("StatefulSet", "countersign")["spec"].clone()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

#[test]
fn kustomize_applies_every_file_that_is_there() {
    let [kustomization] = documents(&format!("{FOLDER}/kustomization.yaml")).try_into().expect("one document");
    let mut named: BTreeSet<String> = texts(&kustomization["resources"]).into_iter().collect();
    let [config] = list(&kustomization["configMapGenerator"]) else { panic!("one ConfigMap") };
    assert_eq!(config["name"], "countersign");
    named.extend(texts(&config["files"]));
    named.insert("kustomization.yaml".to_owned());
    let entries = fs::read_dir(shipped(FOLDER)).expect("it ships");
    let there: BTreeSet<String> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8")).collect();
    assert_eq!(named, there);
    // Under another name at each change, it would not reach a server that runs.
    assert_eq!(kustomization["generatorOptions"]["disableNameSuffixHash"], true);
    assert_eq!(kustomization["namespace"], "countersign");
    for object in applied() {
        assert_eq!(object["metadata"]["namespace"], Value::Null, "kustomize says it once");
    }
}

#[test]
fn pods_are_as_shut_in_as_can_be() {
    let labels = one("Namespace", "countersign")["metadata"]["labels"].clone();
    for does in ["enforce", "warn", "audit"] {
        assert_eq!(labels[format!("pod-security.kubernetes.io/{does}")], "restricted", "{does}");
    }
    let pod = servers()["template"]["spec"].clone();
    assert_eq!(pod["automountServiceAccountToken"], false);
    for more in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
        assert_eq!(pod[more], Value::Null, "{more}");
    }
    let who = &pod["securityContext"];
    assert_eq!(who["runAsNonRoot"], true);
    assert_eq!(who["seccompProfile"]["type"], "RuntimeDefault");
    // Of the image; and keys are lent to the group that the server runs as, or refused.
    let image = fs::read_to_string(shipped("deploy/Dockerfile")).expect("it ships");
    let ids = ["runAsUser", "runAsGroup", "fsGroup"].map(|id| who[id].as_u64().expect("a number"));
    assert!(image.contains(&format!("\nUSER {}:{}\n", ids[0], ids[1])) && ids[1] == ids[2], "{ids:?}");
    assert_eq!(who["fsGroupChangePolicy"], "OnRootMismatch", "or the audit file is opened to the group");
    let [container] = list(&pod["containers"]) else { panic!("one container") };
    let may =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    assert_eq!(container["securityContext"], may);
    for kind in ["requests", "limits"] {
        assert!(container["resources"][kind]["memory"].is_string(), "{kind}");
    }
}

#[test]
fn a_server_is_asked_how_it_is_and_has_time_to_finish() {
    let servers = servers();
    let pod = &servers["template"]["spec"];
    let container = &pod["containers"][0];
    for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let asks = json!({"path": path, "port": "internal", "scheme": "HTTPS"});
        assert_eq!(container[probe]["httpGet"], asks, "{probe}");
    }
    assert_eq!(container["lifecycle"], Value::Null, "a server takes its leave by itself");
    let config = fs::read_to_string(shipped(FOLDER).join("server.toml")).expect("it ships");
    let leave = config.lines().find_map(|line| line.strip_prefix("leave_seconds = ")).expect("it is there");
    let leave: u64 = leave.parse().expect("a number");
    let grace = pod["terminationGracePeriodSeconds"].as_u64().expect("a number");
    // Longer than a connection may idle.
    assert!(leave > Limits::default().head.as_secs(), "{leave}");
    assert!(grace >= leave + Limits::default().drain.as_secs() + 5, "{grace}");
    // One goes before its successor comes: without a third, a single server would be left.
    assert_eq!((&servers["replicas"], &servers["updateStrategy"]["type"]), (&json!(3), &json!("RollingUpdate")));
    let budget = one("PodDisruptionBudget", "countersign")["spec"].clone();
    assert_eq!((&budget["minAvailable"], &budget["selector"]["matchLabels"]), (&json!(1), &ours()));
    let spread: Vec<&Value> = list(&pod["topologySpreadConstraints"]).iter().map(|one| &one["topologyKey"]).collect();
    assert_eq!(spread, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
}

#[test]
fn every_server_has_an_audit_file_of_its_own_that_stays() {
    let servers = servers();
    let [claim] = list(&servers["volumeClaimTemplates"]) else { panic!("one claim") };
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    let keeps = json!({"whenScaled": "Retain", "whenDeleted": "Retain"});
    assert_eq!(servers["persistentVolumeClaimRetentionPolicy"], keeps);
    let mounts = list(&servers["template"]["spec"]["containers"][0]["volumeMounts"]);
    let written: Vec<&Value> = mounts.iter().filter(|mount| mount["readOnly"] != true).collect();
    let [written] = written.as_slice() else { panic!("nothing else is written: {mounts:?}") };
    assert_eq!(written["name"], claim["metadata"]["name"]);
    let config = fs::read_to_string(shipped(FOLDER).join("server.toml")).expect("it ships");
    let folder = written["mountPath"].as_str().expect("a path");
    assert!(config.contains(&format!("\n[audit]\nfile = \"{folder}/audit.jsonl\"\n")));
}

#[test]
fn secrets_are_files_that_are_swapped_and_the_manual_names_each() {
    let pod = servers()["template"]["spec"].clone();
    let [container] = list(&pod["containers"]) else { panic!("one container") };
    assert_eq!(
        (&container["env"], &container["envFrom"]),
        (&Value::Null, &Value::Null),
        "nothing secret is told there"
    );
    for mount in list(&container["volumeMounts"]) {
        assert_eq!(mount["subPath"], Value::Null, "what is mounted by itself is never swapped");
    }
    let [settings, keys] = list(&pod["volumes"]) else { panic!("two volumes beside the claim") };
    for mode in [&settings["projected"]["defaultMode"], &keys["secret"]["defaultMode"]] {
        assert_eq!(mode, 0o400);
    }
    let manual = fs::read_to_string(shipped("docs/deploy.md")).expect("it ships");
    let made = |name: &str| {
        let line = manual.lines().find(|line| line.contains("kubectl create secret") && line.contains(name));
        line.unwrap_or_else(|| panic!("nobody is told to make {name}")).to_owned() + " "
    };
    for secret in list(&settings["projected"]["sources"]).iter().filter_map(|source| source.get("secret")) {
        let line = made(secret["name"].as_str().expect("a name"));
        for item in list(&secret["items"]) {
            let key = item["key"].as_str().expect("a key");
            let brought = line.contains(&format!(" --from-file={key} "));
            assert!(brought || key.starts_with("tls.") && line.contains(" secret tls "), "{key}: {line}");
        }
    }
    assert!(made(keys["secret"]["secretName"].as_str().expect("a name")).contains("--from-file=keys/"));
}

#[test]
fn nobody_speaks_to_anybody_but_as_is_said() {
    let nobody = one("NetworkPolicy", "nobody")["spec"].clone();
    assert_eq!(nobody, json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}));
    let policy = one("NetworkPolicy", "countersign")["spec"].clone();
    assert_eq!(policy["podSelector"]["matchLabels"], ours());
    let of = |side: &str| json!({"namespaceSelector": {"matchLabels": {"countersign/side": side}}});
    let tcp = |port: Value| json!([{"protocol": "TCP", "port": port}]);
    assert_eq!(
        policy["ingress"],
        json!([{"ports": tcp("public".into())}, {"from": [of("bank"), of("monitoring")], "ports": tcp("internal".into())}])
    );
    let [dns, redis, bank, collector, clients] = list(&policy["egress"]) else { panic!("five ways out") };
    assert_eq!(dns["ports"], json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]));
    assert_eq!(redis, &json!({"to": [of("redis")], "ports": tcp(6379.into())}));
    assert_eq!(bank, &json!({"to": [of("bank")], "ports": tcp(8443.into())}));
    let ports = json!([{"protocol": "TCP", "port": 4317}, {"protocol": "TCP", "port": 4318}]);
    assert_eq!(collector, &json!({"to": [of("monitoring")], "ports": ports}));
    assert_eq!(clients["ports"], tcp(443.into()));
    let [v4, v6] = list(&clients["to"]) else { panic!("two families") };
    assert_eq!((&v4["ipBlock"]["cidr"], &v6["ipBlock"]["cidr"]), (&json!("0.0.0.0/0"), &json!("::/0")));
    let (v4, v6) = (texts(&v4["ipBlock"]["except"]), texts(&v6["ipBlock"]["except"]));
    for inside in ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"] {
        assert!(v4.contains(&inside.to_owned()), "{inside}");
    }
    assert!(v6.contains(&"fc00::/7".to_owned()) && v6.contains(&"fe80::/10".to_owned()));
}

#[test]
fn tls_passes_through_and_the_banks_side_stays_inside() {
    let (public, internal) = (one("Service", "countersign"), one("Service", "countersign-internal"));
    assert_eq!((&public["spec"]["type"], &internal["spec"]["type"]), (&json!("LoadBalancer"), &json!("ClusterIP")));
    assert_eq!(public["spec"]["externalTrafficPolicy"], "Local", "clients keep their addresses");
    for (service, port) in [(&public, "public"), (&internal, "internal")] {
        assert_eq!(service["spec"]["selector"], ours());
        let [only] = list(&service["spec"]["ports"]) else { panic!("one port") };
        assert_eq!(only["targetPort"], port);
    }
    let servers = servers();
    let each = one("Service", "countersign-pods")["spec"].clone();
    assert_eq!(servers["serviceName"], "countersign-pods", "each has a name");
    assert_eq!(
        (&each["clusterIP"], &each["publishNotReadyAddresses"], &each["selector"]),
        (&json!("None"), &json!(true), &ours())
    );
    assert_eq!((&servers["selector"]["matchLabels"], &servers["template"]["metadata"]["labels"]), (&ours(), &ours()));
    let config = fs::read_to_string(shipped(FOLDER).join("server.toml")).expect("it ships");
    for port in list(&servers["template"]["spec"]["containers"][0]["ports"]) {
        let key = if port["name"] == "public" { "listen" } else { "internal_listen" };
        assert!(config.contains(&format!("\n{key} = \"0.0.0.0:{}\"\n", port["containerPort"])), "{port}");
    }
}
