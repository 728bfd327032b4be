"""The form of the lab in a real browser: what is typed is what is sent, and stays."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.test_browser import Browser, opened
from tests.lab.test_server import Served

pytestmark = pytest.mark.slow
TYPED = """async (cases) => {
  const { typed } = await import("/js/options.js");
  return cases.map(([kinds, text]) => {
    const value = typed({ name: "x", kinds, default: null, required: false }, text);
    return value === undefined ? "default" : value;
  });
}"""
#: Kinds of an option, what is typed, and what a run file gets.
CASES: list[tuple[list[str], str, Any]] = [
    (["integer"], "12", 12),
    (["number"], " 1e-3 ", 0.001),
    (["number"], "", "default"),
    (["number"], "   ", "default"),
    (["number"], "x", "x"),
    (["number"], "1e999", "1e999"),
    (["integer", "string"], "all", "all"),
    (["string"], "12", "12"),
    (["string"], "<b>", "<b>"),
    (["array"], "3", [3]),
    (["array"], "3, 4", [3, 4]),
    (["array"], "3, a", [3, "a"]),
    (["array"], "3,", [3]),
    (["array", "integer"], "3", 3),
    (["array", "integer"], "3, 4", [3, 4]),
    (["array", "number"], "0.9,0.99", [0.9, 0.99]),
]


def test_what_is_typed_is_what_a_run_file_gets(seen: Browser) -> None:
    got = seen.page.evaluate(TYPED, [[kinds, text] for kinds, text, __ in CASES])
    assert got == [value for __, __, value in CASES]


def test_an_input_of_each_kind_tells_what_has_changed(seen: Browser) -> None:
    found = seen.page.evaluate(
        """async () => {
          const { field } = await import("/js/options.js");
          const heard = [];
          const made = (option, value, set) => {
            const whole = { required: false, doc: "d", ...option };
            const tell = (v) => heard.push([option.name, v ?? null]);
            const row = field(whole, value, tell);
            const input = row.querySelector("input, select");
            const { type, placeholder } = input;
            const shown = type === "checkbox" ? input.checked : input.value;
            set(input);
            input.dispatchEvent(new Event("change"));
            const labelled = row.querySelector("label").htmlFor === input.id;
            return [labelled, type, shown, placeholder ?? ""];
          };
          const to = (value) => (input) => { input.value = value; };
          const none = undefined;
          const rows = [
            made({ name: "rate", kinds: ["number"], default: 0.1 }, none, to("0.5")),
            made({ name: "on", kinds: ["boolean"], default: true }, none,
              (input) => { input.checked = false; }),
            made({ name: "mode", kinds: ["string"], enum: ["a", "b"], default: null },
              "b", to("")),
            made({ name: "pair", kinds: ["array"], default: [1, 2] },
              [3, 4], to("5, 6")),
            made({ name: "zero", kinds: ["integer"], default: 7 }, 0, to("")),
          ];
          return { rows, heard };
        }"""
    )
    assert found["rows"] == [
        [True, "number", "", "0.1"],
        [True, "checkbox", True, ""],
        [True, "select-one", "b", ""],
        [True, "text", "3, 4", "1, 2"],
        [True, "number", "0", "7"],
    ]
    assert found["heard"] == [
        ["rate", 0.5],
        ["on", False],
        ["mode", None],
        ["pair", [5, 6]],
        ["zero", None],
    ]


def test_a_choice_that_changes_while_the_form_is_sent_stays(
    chromium: Any, lab: Served
) -> None:
    with opened(chromium, lab) as seen:
        page, held = seen.page, []

        def through(route: Any) -> None:
            server = route.connect_to_server()

            def heard(message: Any) -> None:
                if isinstance(message, str) and '"type":"build"' in message:
                    held.append(lambda: server.send(message))
                else:
                    server.send(message)

            route.on_message(heard)

        page.route_web_socket("**/ws", through)
        page.reload()
        seen.until("#network-text", "parameters")
        samples = '.option[data-key="samples"] input'
        page.fill(samples, "300")
        page.click("#build")
        page.wait_for_function("() => document.querySelector('#build').disabled")
        # A choice draws the form anew, and another number is typed and not left yet.
        page.select_option("#class-optimizer", "SGD")
        assert page.is_disabled("#build")
        page.fill('.option[data-key="epochs"] input', "77")
        page.fill(samples, "250")
        assert len(held) == 1
        held.pop()()
        seen.until("#network-text", "training: 240")
        page.wait_for_selector("#build:enabled")
        assert page.input_value(samples) == "250"
        assert page.input_value("#class-optimizer") == "SGD"
        assert page.input_value('.option[data-key="epochs"] input') == "77"
        page.click("#build")
        page.wait_for_timeout(100)
        held.pop()()
        seen.until("#network-text", "training: 200")
        assert "SGD" in seen.text("#network-text")


def test_a_form_that_nobody_has_touched_shows_what_another_tab_builds(
    chromium: Any, lab: Served
) -> None:
    with opened(chromium, lab) as seen:
        other = Browser(seen.page.context.new_page())
        other.page.goto(lab.url)
        other.until("#network-text", "parameters")
        samples = '.option[data-key="samples"] input'
        other.page.fill(samples, "200")
        other.page.click("#build")
        seen.until("#network-text", "training: 160")
        assert seen.page.input_value(samples) == "200"
        seen.page.fill(samples, "999")  # and now it is touched
        other.page.fill(samples, "100")
        other.page.click("#build")
        seen.until("#network-text", "training: 80")
        assert seen.page.input_value(samples) == "999"
        assert other.errors() == []


def test_what_is_wrong_in_a_folded_part_is_said_and_unfolded(seen: Browser) -> None:
    page = seen.page
    place = '[data-section="training"] .option[data-key="threads"] input'
    assert page.is_hidden(place)
    page.evaluate(
        """(place) => {
          const input = document.querySelector(place);
          input.value = "-5";
          input.dispatchEvent(new Event("change"));
        }""",
        place,
    )
    page.click("#build")
    page.wait_for_selector(".option.wrong input:visible")
    assert page.is_visible(place)
    assert "1" in seen.text("#form-problem")


def test_what_is_no_number_is_never_taken_for_the_default(seen: Browser) -> None:
    page = seen.page
    samples = '.option[data-key="samples"] input'
    page.click(samples)
    page.keyboard.press("Control+A")
    page.keyboard.type("1e")
    page.click("#build")
    seen.until("#form-problem", "samples: there is no number here.")
