//! The rules of the house that a compiler does not keep.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const SERVICES: [&str; 7] = [
    "ingestion",
    "allocation",
    "disputes",
    "dunning",
    "worklist",
    "reporting",
    "gateway",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .unwrap()
}

/// What each room may import of ours, for use and not for tests.
fn may_import(name: &str) -> BTreeSet<&'static str> {
    let mut allowed = BTreeSet::new();
    let shared = ["kernel", "contracts", "messaging", "runtime", "mail"];
    match name {
        "kernel" | "load" => {}
        "contracts" => allowed.extend(&shared[..1]),
        "messaging" => allowed.extend(&shared[..2]),
        "runtime" | "mail" => allowed.extend(&shared[..3]),
        "counterfoil" => {
            allowed.extend(shared);
            allowed.extend(SERVICES);
            allowed.insert("load");
        }
        // Services, testkit and the tests themselves.
        _ => allowed.extend(shared),
    }
    allowed
}

#[test]
fn nobody_imports_what_is_above_or_beside_them() {
    let metadata = metadata();
    let ours: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    for package in &metadata.packages {
        let allowed = may_import(&package.name);
        for dependency in &package.dependencies {
            let of_ours = ours.contains(&dependency.name);
            if of_ours && dependency.kind != DependencyKind::Development {
                assert!(
                    allowed.contains(dependency.name.as_str()),
                    "{} must not import {}",
                    package.name,
                    dependency.name
                );
            }
            // Services are tested together by the program, never by one another.
            if SERVICES.contains(&package.name.as_str()) {
                assert!(
                    !SERVICES.contains(&dependency.name.as_str()),
                    "{} must not even test with {}",
                    package.name,
                    dependency.name
                );
            }
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rules of a service are pure: no IO, no runtime, no clock.
#[test]
fn domains_are_pure() {
    for service in SERVICES {
        for file in sources(&root().join("services").join(service).join("src/domain")) {
            let text = fs::read_to_string(&file).unwrap();
            for forbidden in [
                "sqlx",
                "tokio",
                "async fn",
                "async_nats",
                "Utc::now",
                "SystemTime",
                "std::fs",
                "std::env",
            ] {
                let used = text
                    .lines()
                    .any(|line| !line.trim_start().starts_with("//") && line.contains(forbidden));
                assert!(!used, "{} uses {forbidden}", file.display());
            }
        }
    }
}

/// SQL stands in `store/` and in the messaging crate, nowhere else in a
/// service.
#[test]
fn sql_has_one_room() {
    for service in SERVICES {
        let src = root().join("services").join(service).join("src");
        for file in sources(&src) {
            if file.starts_with(src.join("store")) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for forbidden in ["query!(", "query_as!(", "query_scalar!(", "sqlx::query("] {
                assert!(!text.contains(forbidden), "{} has SQL", file.display());
            }
        }
    }
}

/// No service's SQL names another service's schema.
#[test]
fn no_sql_reaches_into_another_schema() {
    for service in SERVICES {
        let folder = root().join("services").join(service);
        let mut files = sources(&folder.join("src/store"));
        files.extend(
            fs::read_dir(folder.join("migrations"))
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path()),
        );
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for other in SERVICES.iter().filter(|other| **other != service) {
                for word in ["from", "join", "into", "update", "references"] {
                    assert!(
                        !text.contains(&format!("{word} {other}.")),
                        "{} reaches into {other}",
                        file.display()
                    );
                }
            }
        }
    }
}

#[test]
fn every_room_has_what_a_newcomer_looks_for() {
    for service in SERVICES {
        let folder = root().join("services").join(service);
        for name in ["README.md", "migrations", "src/lib.rs", "sqlx.toml"] {
            assert!(folder.join(name).exists(), "{service} has no {name}");
        }
    }
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "LICENSE",
        "Makefile",
        "schemas/asyncapi.yaml",
        "schemas/openapi.json",
    ] {
        assert!(root().join(name).exists(), "there is no {name}");
    }
}

/// The top of the tree stays as it is.
#[test]
fn nothing_new_lies_at_the_top() {
    let known = [
        "ARCHITECTURE.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "Makefile",
        "README.md",
        "deploy",
        "schemas",
        "services",
        "shared",
        "target",
        "tests",
    ];
    for entry in fs::read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || known.contains(&name.as_str()),
            "{name} does not belong at the top"
        );
    }
}

/// One version of each library that must not be there twice: two of them
/// compile, and then traces or types silently do not meet.
#[test]
fn no_library_that_must_be_one_is_two() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in [
        "opentelemetry",
        "opentelemetry_sdk",
        "async-nats",
        "sqlx-core",
        "rust_decimal",
        "chrono",
        "tokio",
        "axum",
    ] {
        let count = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert_eq!(count, 1, "{name} is in the lock file {count} times");
    }
}
