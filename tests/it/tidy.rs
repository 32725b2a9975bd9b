//! The rules of the house are tests. What each one is and why, and its own tests, are in `xtask/src/tidy`.

use xtask::step::root;
use xtask::tidy::{Workspace, check};

#[test]
fn the_house_is_tidy() {
    let workspace = Workspace::read(root()).expect("the workspace can be read");
    let complaints: Vec<String> = check(&workspace).iter().map(ToString::to_string).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
