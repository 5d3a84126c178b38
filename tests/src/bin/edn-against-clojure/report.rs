//! How many documents were read alike, and which were not.

use std::collections::BTreeMap;

use crate::differences::Known;
use crate::is_mutated;
use crate::oracle::{Answers, Questions};
use crate::verdict::{Reading, Verdict};

/// So many differences are shown.
const SHOWN: usize = 20;

#[derive(Default)]
pub(crate) struct Report {
    /// Of the documents as generated and of the mutated ones: read, refused.
    agreed: [[u64; 2]; 2],
    known: BTreeMap<Known, u64>,
    /// Numbers and texts.
    different: Vec<(u64, String)>,
}

impl Report {
    pub(crate) fn add(&mut self, number: u64, text: &str, verdict: Verdict) {
        let agreed = &mut self.agreed[usize::from(is_mutated(number))];
        match verdict {
            Verdict::ReadAlike => agreed[0] += 1,
            Verdict::RefusedByBoth => agreed[1] += 1,
            Verdict::Known(known) => *self.known.entry(known).or_default() += 1,
            Verdict::Differs(_) => self.different.push((number, text.to_owned())),
        }
    }

    /// Prints all of it, and says whether nothing differs.
    pub(crate) fn print(
        &self,
        mut questions: Questions,
        mut answers: Answers,
    ) -> Result<bool, String> {
        for (number, text) in self.different.iter().take(SHOWN) {
            let (text, why) = shortened(text, &mut questions, &mut answers)?;
            println!("\ndocument {number}, shortened: {text:?}\n{why}");
        }
        for (kind, [read, refused]) in ["as made", "mutated"].iter().zip(self.agreed) {
            println!("{kind}: {read} read alike, {refused} refused by both");
        }
        for (known, count) in &self.known {
            println!("known difference: {count} with {}", known.name());
        }
        println!("differences: {}", self.different.len());
        Ok(self.different.is_empty())
    }
}

/// The document without the parts that do not matter to the difference, and what differs.
fn shortened(
    text: &str,
    questions: &mut Questions,
    answers: &mut Answers,
) -> Result<(String, String), String> {
    let mut difference = |text: String| -> Result<Option<String>, String> {
        let reading = Reading::new(text);
        let asked = reading.ask(questions).and_then(|()| questions.flush());
        asked.map_err(|error| format!("Clojure takes no more questions: {error}"))?;
        match reading.compare(answers)? {
            Verdict::Differs(why) => Ok(Some(why)),
            _ => Ok(None),
        }
    };
    let mut why = difference(text.to_owned())?.ok_or("the difference is gone when asked again")?;
    let mut text: Vec<char> = text.chars().collect();
    let mut size = text.len();
    while size > 0 {
        let mut at = 0;
        while at < text.len() {
            let end = text.len().min(at + size);
            let without = [&text[..at], &text[end..]].concat();
            match difference(without.iter().collect())? {
                Some(still) => (text, why) = (without, still),
                None => at = end,
            }
        }
        size /= 2;
    }
    Ok((text.into_iter().collect(), why))
}
