//! What the store hands out for redeeming comes from a poll alone.

use countersign::grant::{Consent, Grant};
use countersign::store::requests::Ready;

fn forge(grant: Grant, consent: Consent) -> Ready {
    Ready { grant, consent }
}

fn main() {}
