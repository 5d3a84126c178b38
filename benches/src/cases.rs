//! Every piece of work on every document by every codec, each by name.

use std::fmt;
use std::hint::black_box;

use crate::documents::{Document, Format};
use crate::message::{EdnMessage, EdnMessageRef, PlainMessage, PlainMessageRef};
use crate::subjects::{edn, json};

/// The project's own codec, as cases name it.
pub const OURS: &str = "sente-edn";

/// How many operations are counted together, for the cost of one to be what it is on average.
pub const OPERATIONS: u64 = 32;

/// Leaves the heap as it is in a program that has run for a while: blocks of all sizes, and as many
/// holes. They stay while the result does.
///
/// On a heap that is new, what freeing costs depends on chance: on which block happens to be last.
/// That made a tenth of a difference to the same work in two programs.
#[must_use]
pub fn used_heap() -> Vec<Vec<u8>> {
    let mut blocks: Vec<Vec<u8>> = (0..4096_usize)
        // A step without a common divisor, so that sizes which follow each other differ.
        .map(|index| Vec::with_capacity(16 + index * 619 % 1500))
        .collect();
    let mut index = 0_u32;
    blocks.retain(|_| {
        index += 1;
        index.is_multiple_of(2)
    });
    blocks
}

/// An operation that is ready to be repeated. What it makes is dropped within it.
pub type Operation = Box<dyn FnMut()>;

/// One piece of work on one document by one codec.
pub struct Case {
    /// What is done, as in `scan`.
    pub work: &'static str,
    /// To which document.
    pub document: Document,
    /// By whom.
    pub codec: &'static str,
    /// In which format.
    pub format: Format,
    prepare: Box<dyn Fn() -> Operation>,
}

impl Case {
    /// `work/document/codec`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.work, self.document.name(), self.codec)
    }

    /// Makes the document and what else there must be beforehand.
    #[must_use]
    pub fn prepare(&self) -> Operation {
        (self.prepare)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// All cases, by work and document.
#[must_use]
pub fn all() -> Vec<Case> {
    use Document::{Large, Medium, Small};

    let mut cases = Cases(Vec::new());
    cases.read("frame", Small, EDN, |text| keep(edn::frame(text)));
    cases.read("value", Small, JSON, |text| keep(json::value(text)));
    for document in [Medium, Large] {
        cases.read("scan", document, EDN, |text| keep(edn::scan(text)));
        cases.read("scan", document, JSON, json::scan);
        cases.read("tree", document, EDN, |text| keep(edn::tree_parse(text)));
        cases.read("value", document, EDN, |text| keep(edn::value(text)));
        cases.read("value", document, JSON, |text| keep(json::value(text)));
    }
    add_typed(&mut cases);
    for document in [Medium, Large] {
        cases.write("print", document, EDN, edn::value, |value, out| {
            edn::print(value, out);
        });
        cases.write("print", document, JSON, json::value, |value, out| {
            json::print(value, out);
        });
    }
    #[cfg(feature = "peers")]
    crate::subjects::peers::add(&mut cases);
    cases.0
}

fn add_typed(cases: &mut Cases) {
    use Document::{Large, Medium};

    cases.read("typed", Medium, EDN, |text| {
        keep(edn::typed::<EdnMessage>(text));
    });
    cases.read("typed", Medium, JSON, |text| {
        keep(json::typed::<PlainMessage>(text));
    });
    cases.read("typed-borrowed", Medium, EDN, |text| {
        keep(edn::typed::<EdnMessageRef<'_>>(text));
    });
    cases.read("typed-borrowed", Medium, JSON, |text| {
        keep(json::typed::<PlainMessageRef<'_>>(text));
    });
    cases.read("typed", Large, EDN, |text| {
        keep(edn::typed::<Vec<EdnMessage>>(text));
    });
    cases.read("typed", Large, JSON, |text| {
        keep(json::typed::<Vec<PlainMessage>>(text));
    });
    cases.write(
        "typed-write",
        Medium,
        EDN,
        |text| edn::typed::<EdnMessage>(text),
        |value, _| keep(edn::typed_write(value)),
    );
    cases.write(
        "typed-write",
        Medium,
        JSON,
        |text| json::typed::<PlainMessage>(text),
        |value, _| keep(json::typed_write(value)),
    );
}

/// Who does the work, and on which format.
pub(crate) type Subject = (&'static str, Format);

const EDN: Subject = (OURS, Format::Edn);
const JSON: Subject = ("serde_json", Format::Json);

/// The cases so far.
pub(crate) struct Cases(Vec<Case>);

impl Cases {
    /// Work that reads a document.
    pub(crate) fn read(
        &mut self,
        work: &'static str,
        document: Document,
        (codec, format): Subject,
        run: impl Fn(&[u8]) + Copy + 'static,
    ) {
        self.0.push(Case {
            work,
            document,
            codec,
            format,
            prepare: Box::new(move || {
                let bytes = document.bytes(format);
                Box::new(move || run(black_box(&bytes)))
            }),
        });
    }

    /// Work that reads a document with the help of something that stays.
    #[cfg(feature = "peers")]
    pub(crate) fn read_into<B: 'static>(
        &mut self,
        work: &'static str,
        document: Document,
        (codec, format): Subject,
        make: impl Fn() -> B + Copy + 'static,
        run: impl Fn(&[u8], &mut B) + Copy + 'static,
    ) {
        self.0.push(Case {
            work,
            document,
            codec,
            format,
            prepare: Box::new(move || {
                let (bytes, mut stays) = (document.bytes(format), make());
                Box::new(move || run(black_box(&bytes), &mut stays))
            }),
        });
    }

    /// Work that writes what was read of a document beforehand, into a buffer that stays.
    pub(crate) fn write<T: 'static>(
        &mut self,
        work: &'static str,
        document: Document,
        (codec, format): Subject,
        read: impl Fn(&[u8]) -> T + Copy + 'static,
        run: impl Fn(&T, &mut Vec<u8>) + Copy + 'static,
    ) {
        self.0.push(Case {
            work,
            document,
            codec,
            format,
            prepare: Box::new(move || {
                let value = read(&document.bytes(format));
                let mut out = Vec::new();
                Box::new(move || {
                    run(black_box(&value), &mut out);
                    black_box(&out);
                })
            }),
        });
    }
}

/// Takes a result, so that the work for it is not left out, and drops it.
pub(crate) fn keep<T>(result: T) {
    black_box(result);
}
