//! `countersign serve`: starts, answers, stops, and says why when it cannot.

use std::net::TcpListener;

use crate::deployment::{Deployment, countersign, err};
use crate::serving::Serving;

#[test]
fn serve_refuses_a_faulty_configuration_as_check_does() {
    let deployment = Deployment::new();
    deployment.edit("kind = \"memory\"", "kind = \"paper\"");
    let served = countersign(&["serve", "--config", deployment.config().to_str().expect("UTF-8")]);
    assert_eq!(served.status.code(), Some(2));
    assert_eq!(err(&served), err(&deployment.check()));
    assert!(err(&served).contains("store.kind: "), "{}", err(&served));
}

#[test]
fn serve_says_which_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    for (key, other) in [("listen", "internal_listen"), ("internal_listen", "listen")] {
        let deployment = Deployment::new();
        deployment.listen((key, port), (other, 0));
        let served = countersign(&["serve", "--config", deployment.config().to_str().expect("UTF-8")]);
        assert_eq!(served.status.code(), Some(1));
        let said = err(&served);
        assert!(said.contains(&format!("server.{key} = \"127.0.0.1:{port}\": ")), "{said}");
        assert!(said.contains("another process listens there"), "{said}");
    }
}

#[test]
fn serve_answers_until_it_is_told_to_stop() {
    for signal in ["TERM", "INT"] {
        let deployment = Deployment::new();
        deployment.listen(("listen", 0), ("internal_listen", 0));
        deployment.edit("format = \"pretty\"", "format = \"json\"");
        let mut serving = Serving::start(&deployment);
        let (status, body) = deployment.discovery(serving.port);
        assert_eq!((status, &body["issuer"]), (200, &"https://localhost:9443".into()));
        assert_eq!(serving.told(signal).code(), Some(0), "SIG{signal}");
    }
}
