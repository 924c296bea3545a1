//! What every [`Backend`](countersign::store::backend::Backend) has to do. Written against the trait; a new backend joins with one line at the end.

mod alone;
#[path = "../redis/cluster.rs"]
mod cluster;
mod crowd;
mod faults;
#[path = "../redis/kinds.rs"]
mod kinds;
mod on_redis_servers;
#[path = "../redis/proxy.rs"]
mod proxy;
#[path = "../redis/server.rs"]
mod server;
mod steps;
mod time;

use std::sync::Arc;

use countersign::clock::{Clock, Manual};
use countersign::error::Reason;
use countersign::profile::issuer::Issuer;
use countersign::profile::once::{Kind, Replay, Spent};
use countersign::profile::{FAPI_CIBA_ID1, Profile};
use countersign::secret::Seeded;
use countersign::store::Store;
use countersign::store::memory::Memory;

use crate::steps::{START, Shared, World};

/// Defines one module of tests for a backend: each clause against a backend of its own, as `$make` makes it in a world of its own.
macro_rules! contract {
    ($name:ident, $make:expr, $($group:ident: [$($clause:ident),+ $(,)?])+) => {
        mod $name {
            use super::*;

            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $clause() {
                    let (backend, world, _kept) = $make.await;
                    $group::$clause(backend, world).await;
                }
            )+)+
        }
    };
    ($name:ident, $make:expr) => {
        contract!($name, $make,
            alone: [
                what_was_put_is_there_and_nothing_else,
                bytes_come_back_as_they_went,
                insert_puts_once,
                families_are_apart,
                swap_replaces_exactly_what_is_there,
                swap_on_nothing_is_false_and_puts_nothing,
                an_exchange_finds_what_was_there_and_puts_nothing_where_nothing_is,
                a_trip_answers_each_step_in_its_place,
                a_parcel_is_taken_over_when_its_time_has_come_and_no_sooner,
                a_parcel_is_taken_over_by_one,
                everything_of_a_family_is_shown_and_nothing_of_another,
            ]
            crowd: [
                of_many_inserts_one_puts,
                of_many_swaps_one_wins,
                no_swap_is_lost,
                of_many_exchanges_each_finds_another,
            ]
            time: [
                insert_leaves_what_is_there,
                swap_does_not_wait_for_a_difference,
                a_record_is_there_until_its_sweep_at,
                a_place_is_free_again_after_sweep_at,
                a_swapped_record_lives_by_its_new_sweep_at,
                a_record_without_end_stays_until_it_is_given_one,
                a_clock_that_is_set_back_forgets_nothing,
                an_exchange_moves_no_time,
            ]
        );
    };
}

fn memory() -> (Shared, World, ()) {
    let clock = Arc::new(Manual::at(START));
    (Arc::new(Memory::new(100_000, clock.clone())), World { clock, elsewhere: None }, ())
}

contract!(memory, async { memory() });
contract!(on_redis, on_redis_servers::standalone());
contract!(on_a_cluster, on_redis_servers::cluster());

/// The gate and the store each ask for the time, and a second may pass in between.
#[tokio::test]
async fn ca_11_a_spent_id_is_remembered_past_the_expiry_of_its_token() {
    let clock = Arc::new(Manual::at(START));
    let backend = Arc::new(Memory::new(1_000, clock.clone()));
    let profile = Profile::load(FAPI_CIBA_ID1, Issuer::at("https://as.example").expect("an issuer")).expect("it ships");
    let store = Store::new((backend, None), Vec::new(), (Arc::new(profile), Arc::new(Seeded::default())));
    let spend = async |until| {
        let id = Spent::new(Kind::ClientAssertion, ("till-7", "once"), until);
        store.spend(vec![id]).await.map_err(|refusal| refusal.reason)
    };
    assert_eq!(spend(START.plus(10)).await, Ok(()));
    for _ in 0..7 {
        clock.advance(10);
        let free = clock.now() >= START.plus(70);
        assert_eq!(spend(clock.now().plus(10)).await, if free { Ok(()) } else { Err(Reason::InvalidClient) });
    }
}
