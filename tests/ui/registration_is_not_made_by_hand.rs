//! The metadata of a client makes one only after the gate has read it.

use countersign::profile::registration::Registration;
use countersign::wire::json::Object;

fn forge(members: Object) -> Registration {
    Registration { members, stated: Object::new() }
}

fn main() {}
