//! A bad line between the backend and a Redis that is well.

use std::time::Duration;

use countersign::store::backend::Step;
use futures_util::future::join_all;

use super::{answered, eventually, kept, on, passing, trouble, unavailable, well};
use crate::proxy::{Proxy, Way};
use crate::server::RedisServer;
use crate::steps::{Shared, exchange, found, insert, key, load, swap};

/// How many trips may be under way at once.
const MOST: usize = 1_024;

async fn behind_a_line() -> (Shared, Proxy, RedisServer) {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port).await;
    let backend = on(proxy.port).await;
    assert_eq!(backend.trouble(), None);
    (backend, proxy, server)
}

/// How often Redis was asked to swap.
async fn swaps(server: &RedisServer) -> usize {
    let info: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut server.admin().await).await.expect("it runs");
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls="));
    calls.map_or(0, |calls| calls.split(',').next().expect("a number").parse().expect("a number"))
}

#[tokio::test]
async fn a_slow_line_is_waited_for() {
    let (backend, proxy, _server) = behind_a_line().await;
    proxy.set(Way::Slow(Duration::from_millis(200)));
    for n in 0..2 {
        assert_eq!(insert(&backend, &key(n), kept(b"one")).await, Ok(true));
        assert_eq!(swap(&backend, &key(n), b"one", kept(b"two")).await, Ok(true));
        assert_eq!(exchange(&backend, &key(n), b"three").await, found(b"two"));
        assert_eq!(load(&backend, &key(n)).await, found(b"three"));
        assert_eq!(backend.trouble(), None, "slow is not broken");
    }
    let another = on(proxy.port).await;
    assert_eq!(another.trouble(), None, "nor for who begins now");
    assert_eq!(load(&another, &key(0)).await, found(b"three"));
}

#[tokio::test]
async fn a_line_that_hangs_is_trouble_until_it_carries_again() {
    let (backend, proxy, _server) = behind_a_line().await;
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    for _ in 0..2 {
        proxy.set(Way::Hang);
        assert_eq!(unavailable(load(&backend, &key(1)).await), "Redis did not answer in time");
        trouble(&backend, passing).await;
        assert_eq!(unavailable(load(&backend, &key(1)).await), "there is no connection to Redis");
        proxy.set(Way::Pass);
        well(&backend).await;
        assert_eq!(load(&backend, &key(1)).await, found(b"one"));
        proxy.set(Way::Hang);
        trouble(&backend, passing).await;
        proxy.set(Way::Pass);
        well(&backend).await;
        assert_eq!(load(&backend, &key(1)).await, found(b"one"));
        eventually("what hung is closed", async || (proxy.open() == 1).then_some(())).await;
    }
}

/// Whether Redis swapped is not known when the answer is lost, wherever it was cut; and it is not asked again.
#[tokio::test]
async fn a_swap_with_half_an_answer_is_unavailable_and_was_made_once() {
    let (backend, proxy, server) = behind_a_line().await;
    assert_eq!(insert(&backend, &key(1), kept(&[0])).await, Ok(true));
    // `:1`, and the end of the line.
    for n in 0..4 {
        let before = swaps(&server).await;
        proxy.set(Way::Cut("EVAL", usize::from(n)));
        let told = swap(&backend, &key(1), &[n], kept(&[n + 1])).await;
        assert_eq!(unavailable(told), "the connection to Redis broke", "{n} bytes of the answer came");
        proxy.set(Way::Pass);
        assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(vec![n + 1]), "Redis did it");
        assert_eq!(swaps(&server).await, before + 1, "{n}");
    }
}

/// Of a trip of several steps either all answers came, or nothing is said.
#[tokio::test]
async fn a_trip_with_some_answers_is_unavailable_and_was_made_once() {
    let (backend, proxy, server) = behind_a_line().await;
    assert_eq!(insert(&backend, &key(1), kept(&[0])).await, Ok(true));
    // `+OK`, `:1`, `$1` and the byte, each with the end of its line.
    let whole = 5 + 4 + 4 + 3;
    for cut in 0..whole {
        let n = u8::try_from(cut).expect("few");
        let before = swaps(&server).await;
        proxy.set(Way::Cut("EVAL", cut));
        let steps = vec![
            Step::Insert(key(100 + n), kept(b"new")),
            Step::Swap(key(1), vec![n], kept(&[n + 1])),
            Step::Exchange(key(2), b"x".to_vec()),
        ];
        let steps = steps.into_iter().chain([Step::Load(key(100 + n))]).collect();
        unavailable(backend.run(steps).await);
        proxy.set(Way::Pass);
        assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(vec![n + 1]));
        assert_eq!(insert(&backend, &key(100 + n), kept(b"again")).await, Ok(false));
        assert_eq!(swaps(&server).await, before + 1, "{cut}");
    }
}

#[tokio::test]
async fn a_swap_that_never_arrives_is_unavailable_and_is_not_made_later() {
    let (backend, proxy, server) = behind_a_line().await;
    assert_eq!(insert(&backend, &key(1), kept(b"one")).await, Ok(true));
    proxy.set(Way::Lose("EVAL"));
    unavailable(swap(&backend, &key(1), b"one", kept(b"two")).await);
    assert_eq!(answered(async || load(&backend, &key(1)).await).await, Some(b"one".to_vec()));
    assert_eq!(swaps(&server).await, 0);
    assert_eq!(swap(&backend, &key(1), b"one", kept(b"three")).await, Ok(true));
}

#[tokio::test]
async fn a_line_that_resets_everything_is_trouble_until_it_lets_in_again() {
    let (backend, proxy, _server) = behind_a_line().await;
    for _ in 0..2 {
        proxy.set(Way::Refuse);
        trouble(&backend, passing).await;
        unavailable(load(&backend, &key(1)).await);
        proxy.set(Way::Pass);
        well(&backend).await;
        assert_eq!(load(&backend, &key(1)).await, Ok(None));
    }
}

/// What is over the bound fails at once; what is under it lets its place go.
#[tokio::test]
async fn a_line_that_hangs_holds_so_many_trips_and_no_more() {
    let (backend, proxy, _server) = behind_a_line().await;
    let place = key(1);
    let crowd = async |size| join_all((0..size).map(|_| load(&backend, &place))).await;
    for _ in 0..2 {
        proxy.set(Way::Hang);
        let told: Vec<_> = crowd(MOST + 100).await.into_iter().map(unavailable).collect();
        let over = told.iter().filter(|words| **words == "too many trips to Redis are under way").count();
        assert_eq!(over, 100);
        trouble(&backend, passing).await;
        proxy.set(Way::Pass);
        well(&backend).await;
        assert!(crowd(MOST).await.into_iter().all(|told| told == Ok(None)), "every place is free again");
        eventually("no connection is left over", async || (proxy.open() == 1).then_some(())).await;
    }
}
