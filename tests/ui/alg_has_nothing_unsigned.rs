//! "none" is not refused: it does not exist.

use countersign::jose::alg::Alg;

fn main() {
    let _ = Alg::None;
}
