//! Who does which work: the floors and prototypes first, then the libraries, then ours.

pub(crate) const SOCKETS: &[&str] = &[
    "raw-epoll",
    "raw-tokio",
    "tungstenite-4k",
    "tungstenite",
    "tungstenite-forward",
    "fastws",
    "tungstenite-json",
    "socketioxide",
    "jsonrpsee",
    "tarpc",
    "node-ws",
    "node-socketio",
    "batch-ws",
    "batch-json",
    OURS,
    "ours/ws/edn/task",
];

pub(crate) const TWO_PROCESSORS: &[&str] = &[
    "raw-epoll",
    "tungstenite-4k",
    "tungstenite-forward",
    "socketioxide",
    "tarpc",
    "batch-json",
    OURS,
];

pub(crate) const OURS: &str = "ours/ws/edn";

pub(crate) const TRANSPORTS: &[&str] = &[
    "raw-epoll",
    "raw-epoll/unix",
    "stdio-raw",
    OURS,
    "ours/ws/json",
    "ours/ws/msgpack",
    "ours/tcp/edn",
    "ours/tcp/json",
    "ours/tcp/msgpack",
    "ours/unix/edn",
    "ours/unix/json",
    "ours/unix/msgpack",
    "ours/stdio/edn",
    "ours/stdio/json",
    "ours/stdio/msgpack",
];

/// Those of which there can be many connections: a child has one.
pub(crate) const SOCKET_TRANSPORTS: &[&str] = &[
    "raw-epoll",
    "raw-epoll/unix",
    "socketioxide",
    OURS,
    "ours/ws/json",
    "ours/ws/msgpack",
    "ours/tcp/edn",
    "ours/tcp/json",
    "ours/tcp/msgpack",
    "ours/unix/edn",
    "ours/unix/json",
    "ours/unix/msgpack",
];

pub(crate) const TYPED: &[&str] = &[
    "ours/ws/edn/typed",
    "ours/ws/json/typed",
    "ours/ws/msgpack/typed",
    "socketioxide",
    "batch-json/typed",
    "batch-msgpack/typed",
];

/// From one connection to thousands.
pub(crate) const GROWING: &[&str] = &[
    "raw-tokio",
    "tungstenite-4k",
    "socketioxide",
    "batch-json",
    OURS,
];

pub(crate) const THREADS: &[&str] = &[
    OURS,
    "ours/ws/edn/threads-2",
    "socketioxide",
    "socketioxide/threads-2",
];

pub(crate) const TYPED_THREADS: &[&str] = &["ours/ws/edn/typed", "ours/ws/edn/typed/threads-2"];

pub(crate) const DEFLATE: &[&str] = &[OURS, "ours/ws/edn/deflate"];

pub(crate) const HOOKS: &[&str] = &[
    OURS,
    "ours/ws/edn/hooks-1",
    "ours/ws/edn/hooks-4",
    "ours/ws/edn/hooks-16",
    "ours/ws/edn/logging",
];

pub(crate) const MODULES: &[&str] = &[
    "ours/ws/edn/modules-0",
    "ours/ws/edn/modules-1",
    "ours/ws/edn/modules-4",
    "ours/ws/edn/modules-16",
];

pub(crate) const COALESCING: &[&str] = &[
    OURS,
    "ours/ws/edn/each-alone",
    "batch-json",
    "batch-json/each-alone",
];

pub(crate) const CHILDREN: &[&str] = &[
    "stdio-raw",
    "stdio-raw-tokio",
    "stdio-batch",
    "stdio-lines",
    "stdio-lsp-server",
    "stdio-async-lsp",
    "ours/stdio/edn",
    "ours/stdio/edn/task",
    "ours/stdio/msgpack",
];

pub(crate) const CROWDS: &[&str] = &[
    "bc-floor",
    "bc-batch",
    "bc-tungstenite-4k",
    "bc-tungstenite",
    "bc-fastws",
    "socketioxide",
    "node-wsbc",
    "node-socketio",
    "ours/ws/edn/room",
];

pub(crate) const DOORS: &[&str] = &[
    "bc-batch",
    "bc-tungstenite-4k",
    "bc-fastws",
    "socketioxide",
    "node-wsbc",
    "ours/ws/edn/room",
];

pub(crate) const LARGE_CROWDS: &[&str] = &[
    "bc-floor",
    "bc-batch",
    "bc-tungstenite-4k",
    "bc-fastws",
    "socketioxide",
    "ours/ws/edn/room",
];

/// Who keeps what a reader does not take.
pub(crate) const QUEUES: &[&str] = &[
    "bc-batch",
    "bc-tungstenite-4k",
    "bc-fastws",
    "socketioxide",
    "ours/ws/edn/room",
];

pub(crate) const LARGEST_CROWDS: &[&str] =
    &["bc-floor", "bc-batch", "socketioxide", "ours/ws/edn/room"];
