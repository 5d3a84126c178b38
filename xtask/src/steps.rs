//! The steps of `cargo xtask test`, in the order in which they run.

use std::fmt;

use crate::workspace::Workspace;
use crate::{bench, browser, clojure, examples, link, peers};

/// One thing that is checked.
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it shows, in a few words.
    pub(crate) about: &'static str,
    /// Steps whose failure makes this one pointless.
    pub(crate) needs: &'static [&'static str],
    /// Does it. The error says what failed, for the summary.
    pub(crate) run: fn(&Workspace) -> Result<(), String>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Step {}

/// What `cargo xtask check` runs: the steps that execute none of our code.
pub(crate) const CHECK: &[Step] = &[FMT, CLIPPY, DOC];

/// What `cargo xtask test` runs.
pub(crate) const TEST: &[Step] = &[
    FMT, CLIPPY, DOC, PEERS, BROWSER, BUILD, UNIT, EXAMPLES, CLOJURE, NO_STD, RUNTIMES, NOSTD_LINK,
    COUNTS,
];

const FMT: Step = Step {
    name: "fmt",
    about: "the code is formatted",
    needs: &[],
    run: |workspace| {
        workspace.cargo(["fmt", "--all", "--check"]).run()?;
        let link = ["fmt", "--manifest-path", link::MANIFEST, "--check"];
        workspace.cargo(link).run()?;
        let suite = "benches/peers/Cargo.toml";
        let suite = ["fmt", "--manifest-path", suite, "--all", "--check"];
        workspace.cargo(suite).run()
    },
};

const CLIPPY: Step = Step {
    name: "clippy",
    about: "the lints find nothing",
    needs: &[],
    run: |workspace| {
        let arguments = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ];
        workspace.cargo(arguments).run()
    },
};

const DOC: Step = Step {
    name: "doc",
    about: "the documentation builds and its links lead somewhere",
    needs: &[],
    run: |workspace| {
        let mut doc = workspace.cargo(["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings").run()
    },
};

const PEERS: Step = Step {
    name: "peers",
    about: "the WebSocket peers in Node and Python are installed",
    needs: &[],
    run: |workspace| peers::install(workspace).map(drop),
};

const BROWSER: Step = Step {
    name: "browser",
    about: "there is a Chromium",
    needs: &[],
    run: |workspace| browser::install(workspace).map(drop),
};

const BUILD: Step = Step {
    name: "build",
    about: "everything builds",
    needs: &[],
    run: |workspace| workspace.cargo(["build", "--workspace"]).run(),
};

const UNIT: Step = Step {
    name: "test",
    about: "all tests pass, the examples in the documentation included",
    needs: &["peers", "browser", "build"],
    run: |workspace| {
        let peers = peers::install(workspace)?;
        let chromium = browser::install(workspace)?;
        // Plain `cargo test`: the lines it closes with are what CI counts.
        let mut test = workspace.cargo(["test", "--workspace", "--no-fail-fast"]);
        test.env("SENTE_TEST_NODE_PATH", &peers.node_path)
            .env("SENTE_TEST_PYTHON", &peers.python)
            .env(browser::VARIABLE, chromium)
            .run()
    },
};

const EXAMPLES: Step = Step {
    name: "examples",
    about: "every example runs and prints what it says",
    needs: &["build"],
    run: examples::run,
};

const CLOJURE: Step = Step {
    name: "clojure",
    about: "clojure.edn reads generated documents, and what we print, as we do",
    needs: &["build"],
    run: clojure::compare,
};

const NO_STD: Step = Step {
    name: "no-std",
    about: "core and edn compile without their default features",
    needs: &[],
    run: |workspace| {
        let arguments = [
            "check",
            "-p",
            "sente-core",
            "-p",
            "sente-edn",
            "--no-default-features",
        ];
        workspace.cargo(arguments).run()
    },
};

const RUNTIMES: Step = Step {
    name: "runtimes",
    about: "the adapters compile for smol without tokio's runtime, and for none",
    needs: &[],
    run: |workspace| {
        let check = ["check", "-p", "sente-adapters", "--no-default-features"];
        workspace.cargo(check).run()?;
        let mut on_smol = workspace.cargo(check);
        on_smol.arg("--features").arg("smol").run()
    },
};

const NOSTD_LINK: Step = Step {
    name: "nostd-link",
    about: "core and edn link and run without std, and a leak of std is noticed",
    needs: &[],
    run: link::check,
};

const COUNTS: Step = Step {
    name: "counts",
    about: "the engine's hot paths take no more instructions and allocations than they did",
    needs: &[],
    run: bench::check,
};
