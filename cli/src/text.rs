//! Events as people type them: read from EDN, refused with the place where they go wrong, and
//! printed back.

use sente_core::edn::{self, ErrorKind, Inside, Value};
use sente_core::{Event, EventId, Payload};

/// Reads `text` as one event. `None` if it holds no form at all, only blanks and comments.
///
/// # Errors
/// A message that says what is wrong and where, with a caret under the place if the text is short.
pub(crate) fn read_event(text: &[u8]) -> Result<Option<Event>, String> {
    let value = match edn::from_slice(text) {
        Ok(value) => value,
        Err(error) if is_nothing(&error) => return Ok(None),
        Err(error) => return Err(point_at(text, &error)),
    };
    Event::from_value(value)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Whether a text was refused only for holding no form.
pub(crate) fn is_nothing(error: &edn::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEnd {
            inside: Inside::Text
        }
    )
}

/// The event as it is printed: `[:id data]` on one line.
pub(crate) fn show_event(event: &Event) -> String {
    match event.to_value() {
        Ok(value) => edn::to_string(&value),
        // Only a packer of another kind than those this command uses could do that.
        Err(_) => format!("[{}]", event.id),
    }
}

/// The payload as it is printed: EDN on one line.
///
/// # Errors
/// What its packer says if it cannot read it back.
pub(crate) fn show_payload(payload: &Payload) -> Result<String, String> {
    payload
        .to_value()
        .map(|value| edn::to_string(&value))
        .map_err(|error| error.to_string())
}

/// A keyword this program itself spells.
pub(crate) fn keyword(name: &str) -> Value {
    Value::keyword(name).unwrap_or_default()
}

/// An event this program itself makes; `None` only if its id were misspelt.
pub(crate) fn event(id: &str, data: impl Into<Payload>) -> Option<Event> {
    EventId::new(id).ok().map(|id| Event::new(id, data))
}

/// What is wrong with a text, and where.
fn point_at(text: &[u8], error: &edn::Error) -> String {
    let message = error.to_string();
    let Ok(text) = std::str::from_utf8(text) else {
        return message;
    };
    let short = text.len() <= CARET_WIDTH && !text.contains(char::is_control);
    let (Some(before), true) = (text.get(..error.offset()), short) else {
        return message;
    };
    let indent = before.chars().count();
    format!("{message}\n  {text}\n  {:indent$}^", "")
}

/// Up to how many bytes a text is short enough to be shown with a caret below.
const CARET_WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::{read_event, show_event};

    #[test]
    fn an_event_is_read_and_shown() {
        let event = read_event(b" [:a/b {:x \"\n\"}] ; why").unwrap().unwrap();
        assert_eq!(show_event(&event), r#"[:a/b {:x "\n"}]"#);
        assert!(read_event(b"; nothing").unwrap().is_none());
        assert!(read_event(b" ,\t").unwrap().is_none());
    }

    #[test]
    fn a_caret_stands_under_the_fault() {
        let message = read_event(b"[:a/b \"\xc3\xa9\" 1a]").unwrap_err();
        let lines: Vec<&str> = message.lines().collect();
        assert!(lines[0].ends_with("at byte 11"), "{message}");
        assert_eq!(lines[1], "  [:a/b \"é\" 1a]");
        assert_eq!(lines[2].chars().count(), 2 + 10 + 1);
    }

    #[test]
    fn what_is_no_event_says_so() {
        assert!(read_event(b"{:a 1}").unwrap_err().contains("vector"));
        assert!(read_event(b"[:a 1]").unwrap_err().contains("namespace"));
        assert!(
            read_event(b"[:chsk/ws-ping]")
                .unwrap_err()
                .contains("reserved")
        );
    }
}
