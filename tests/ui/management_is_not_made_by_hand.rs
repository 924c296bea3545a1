//! Whose registration it is, the token shows, and nobody else says.

use countersign::profile::management::Management;
use countersign::profile::enrolled::Enrolled;
use countersign::secret::Secret;

fn forge(enrolled: Enrolled, token: Secret) -> Management {
    Management { enrolled, token }
}

fn main() {}
