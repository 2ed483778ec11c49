//! Finding things of a model by parts of their names, for people who know what they want but not where it is.

use super::Schema;
use super::find::Element;
use crate::limits;

/// One result of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit<'a> {
    /// What was found.
    pub element: Element<'a>,
    /// Smaller is better: 0 the name itself, 1 the start of the name, 2 within the name, 3 somewhere in the path.
    pub rank: u8,
}

impl Schema {
    /// At most `limit` things whose path has every word of `text`, whatever the case; blanks and dots part words.
    /// Best first: by the last word's place in the name, then what is in force before what is gone, then shorter paths.
    pub fn search(&self, text: &str, limit: usize) -> Vec<Hit<'_>> {
        let text: String = text
            .chars()
            .take(limits::SEARCH_CHARS_MAX)
            .collect::<String>()
            .to_ascii_lowercase();
        let words: Vec<&str> = text
            .split([' ', '.', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        let Some((last, _)) = words.split_last() else {
            return Vec::new();
        };
        let mut hits = Vec::new();
        for object in self.objects() {
            let path = object.path.to_ascii_lowercase();
            let mut consider = |name: &str, element| {
                let name = name.to_ascii_lowercase();
                let found = words
                    .iter()
                    .all(|word| name.contains(word) || path.contains(word));
                // What only matches by its object is found as the object, not as each of its members.
                let is_object = matches!(element, Element::Object(_));
                if found && (is_object || words.iter().any(|word| name.contains(word))) {
                    hits.push((
                        rank(&name, last),
                        status(element),
                        path.len() + name.len(),
                        hits.len(),
                        element,
                    ));
                }
            };
            consider(object.name(), Element::Object(object));
            object
                .params
                .iter()
                .for_each(|param| consider(&param.name, Element::Param(object, param)));
            object
                .commands
                .iter()
                .for_each(|command| consider(&command.name, Element::Command(object, command)));
            object
                .events
                .iter()
                .for_each(|event| consider(&event.name, Element::Event(object, event)));
        }
        hits.sort_by_key(|(rank, status, length, order, _)| (*rank, *status, *length, *order));
        hits.truncate(limit);
        hits.into_iter()
            .map(|(rank, _, _, _, element)| Hit { element, rank })
            .collect()
    }
}

fn rank(name: &str, word: &str) -> u8 {
    let bare = name.trim_end_matches(['(', ')', '!']);
    match bare.find(word) {
        Some(0) if bare.len() == word.len() => 0,
        Some(0) => 1,
        Some(_) => 2,
        None => 3,
    }
}

fn status(element: Element<'_>) -> super::Status {
    let own = match element {
        Element::Object(object) => object.status,
        Element::Param(_, param) => param.status,
        Element::Command(_, command) => command.status,
        Element::Event(_, event) => event.status,
    };
    own.max(element.object().status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        Schema::tr181()
            .search(text, 5)
            .iter()
            .map(|hit| hit.element.path())
            .collect()
    }

    #[test]
    fn the_name_itself_comes_first() {
        assert_eq!(found("ssid")[0], "Device.WiFi.SSID.{i}.");
        assert_eq!(found("Device.Reboot")[0], "Device.Reboot()");
        assert_eq!(found("boot!")[0], "Device.Boot!");
    }

    #[test]
    fn every_word_counts_whatever_its_case() {
        assert_eq!(
            found("wifi radio CHANNEL")[0],
            "Device.WiFi.Radio.{i}.Channel"
        );
        assert!(found("wifi nosuchthing").is_empty());
    }

    #[test]
    fn nothing_is_found_for_nothing_and_never_more_than_asked() {
        assert!(found(" . ").is_empty());
        assert_eq!(Schema::tr181().search("e", 7).len(), 7);
    }

    #[test]
    fn only_the_first_characters_of_the_text_count() {
        let long = format!(
            "{}nosuchthing",
            "wifi ".repeat(limits::SEARCH_CHARS_MAX / 5 + 1)
        );
        assert!(!Schema::tr181().search(&long, 3).is_empty());
    }
}
