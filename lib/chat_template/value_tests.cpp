// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/value_tests.h"

#include <algorithm>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"
#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

struct TestEntry {
  std::string_view name;
  TestBody body;
};

Result<Value> OnlyArgument(std::string_view name, const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments(name, {"/other"}, 1, arguments));
  return *bound[0];
}

Result<bool> Expect(std::string_view name, const Arguments& arguments, bool holds) {
  QEFF_RETURN_IF_ERROR(BindArguments(name, {}, 0, arguments).status());
  return holds;
}

/// The remainder that odd, even and divisibleby look at.
Result<Value> Remainder(Interpreter& interpreter, const Value& value, const Value& divisor) {
  return Apply(BinaryOperator::kModulo, value, divisor, interpreter.budget());
}

Result<bool> IsParity(Interpreter& interpreter, const Value& value, int64_t expected) {
  QEFF_ASSIGN_OR_RETURN(const Value rest, Remainder(interpreter, value, Value::FromInteger(2)));
  return Equal(rest, Value::FromInteger(expected), interpreter.budget());
}

Result<bool> CompareWith(Interpreter& interpreter, const Value& value, const Arguments& arguments,
                         std::string_view symbol, bool (*holds)(std::partial_ordering)) {
  QEFF_ASSIGN_OR_RETURN(const Value other, OnlyArgument(symbol, arguments));
  QEFF_ASSIGN_OR_RETURN(const std::partial_ordering order,
                        Order(value, other, symbol, interpreter.budget()));
  return holds(order);
}

Result<bool> TestEqual(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(const Value other, OnlyArgument("equalto", a));
  return Equal(v, other, i.budget());
}
Result<bool> TestNotEqual(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(const Value other, OnlyArgument("ne", a));
  return !Equal(v, other, i.budget());
}
Result<bool> TestLess(Interpreter& i, const Value& v, const Arguments& a) {
  return CompareWith(i, v, a, "<", [](std::partial_ordering order) { return order < 0; });
}
Result<bool> TestLessOrEqual(Interpreter& i, const Value& v, const Arguments& a) {
  return CompareWith(i, v, a, "<=", [](std::partial_ordering order) { return order <= 0; });
}
Result<bool> TestGreater(Interpreter& i, const Value& v, const Arguments& a) {
  return CompareWith(i, v, a, ">", [](std::partial_ordering order) { return order > 0; });
}
Result<bool> TestGreaterOrEqual(Interpreter& i, const Value& v, const Arguments& a) {
  return CompareWith(i, v, a, ">=", [](std::partial_ordering order) { return order >= 0; });
}

bool IsSequence(const Value& value) {
  // Whatever has a length and can be indexed.
  return value.is_text() || value.sequence() != nullptr || value.dictionary() != nullptr ||
         value.is_undefined() || (value.object() != nullptr && value.object()->is_indexable());
}

/// Text in which every letter with case has this case, and there is one.
Result<bool> HasCase(Interpreter& interpreter, const Value& value, bool upper) {
  const std::string text = interpreter.ToText(value);
  return upper ? IsUpperText(text) : IsLowerText(text);
}

constexpr TestEntry kTests[] = {
    {"!=", TestNotEqual},
    {"<", TestLess},
    {"<=", TestLessOrEqual},
    {"==", TestEqual},
    {">", TestGreater},
    {">=", TestGreaterOrEqual},
    {"boolean", [](Interpreter&, const Value& v,
                   const Arguments& a) { return Expect("boolean", a, v.is_bool()); }},
    {"callable",
     [](Interpreter&, const Value& v, const Arguments& a) {
       const bool is_callable =
           v.is_undefined() || (v.object() != nullptr && v.object()->is_callable());
       return Expect("callable", a, is_callable);
     }},
    {"defined", [](Interpreter&, const Value& v,
                   const Arguments& a) { return Expect("defined", a, !v.is_undefined()); }},
    {"divisibleby",
     [](Interpreter& i, const Value& v, const Arguments& a) -> Result<bool> {
       QEFF_ASSIGN_OR_RETURN(const Value divisor, OnlyArgument("divisibleby", a));
       QEFF_ASSIGN_OR_RETURN(const Value rest, Remainder(i, v, divisor));
       return Equal(rest, Value::FromInteger(0), i.budget());
     }},
    {"eq", TestEqual},
    {"equalto", TestEqual},
    {"escaped", [](Interpreter&, const Value& v,
                   const Arguments& a) { return Expect("escaped", a, v.is_markup()); }},
    {"even", [](Interpreter& i, const Value& v, const Arguments&) { return IsParity(i, v, 0); }},
    {"false",
     [](Interpreter&, const Value& v, const Arguments& a) {
       return Expect("false", a, v.is_bool() && v.integer() == 0);
     }},
    {"filter",
     [](Interpreter&, const Value& v, const Arguments& a) {
       return Expect("filter", a, v.is_text() && FindFilter(v.text()) != nullptr);
     }},
    {"float", [](Interpreter&, const Value& v,
                 const Arguments& a) { return Expect("float", a, v.is_float()); }},
    {"ge", TestGreaterOrEqual},
    {"greaterthan", TestGreater},
    {"gt", TestGreater},
    {"in",
     [](Interpreter& i, const Value& v, const Arguments& a) -> Result<bool> {
       QEFF_ASSIGN_OR_RETURN(const Value container, OnlyArgument("in", a));
       return Contains(container, v, i.budget());
     }},
    {"integer",
     [](Interpreter&, const Value& v, const Arguments& a) {
       return Expect("integer", a, v.is_integer() && !v.is_bool());
     }},
    {"iterable", [](Interpreter&, const Value& v,
                    const Arguments& a) { return Expect("iterable", a, IsIterable(v)); }},
    {"le", TestLessOrEqual},
    {"lessthan", TestLess},
    {"lower",
     [](Interpreter& i, const Value& v, const Arguments&) { return HasCase(i, v, false); }},
    {"lt", TestLess},
    {"mapping", [](Interpreter&, const Value& v,
                   const Arguments& a) { return Expect("mapping", a, v.dictionary() != nullptr); }},
    {"ne", TestNotEqual},
    {"none", [](Interpreter&, const Value& v,
                const Arguments& a) { return Expect("none", a, v.is_none()); }},
    {"number", [](Interpreter&, const Value& v,
                  const Arguments& a) { return Expect("number", a, v.is_number()); }},
    {"odd", [](Interpreter& i, const Value& v, const Arguments&) { return IsParity(i, v, 1); }},
    {"sameas",
     [](Interpreter&, const Value& v, const Arguments& a) -> Result<bool> {
       QEFF_ASSIGN_OR_RETURN(const Value other, OnlyArgument("sameas", a));
       return v.IsSameAs(other);
     }},
    {"sequence", [](Interpreter&, const Value& v,
                    const Arguments& a) { return Expect("sequence", a, IsSequence(v)); }},
    {"string", [](Interpreter&, const Value& v,
                  const Arguments& a) { return Expect("string", a, v.is_text()); }},
    {"test",
     [](Interpreter&, const Value& v, const Arguments& a) {
       return Expect("test", a, v.is_text() && FindTest(v.text()) != nullptr);
     }},
    {"true", [](Interpreter&, const Value& v,
                const Arguments& a) { return Expect("true", a, v.is_bool() && v.integer() != 0); }},
    {"undefined", [](Interpreter&, const Value& v,
                     const Arguments& a) { return Expect("undefined", a, v.is_undefined()); }},
    {"upper", [](Interpreter& i, const Value& v, const Arguments&) { return HasCase(i, v, true); }},
};

}  // namespace

TestBody FindTest(std::string_view name) {
  const auto* found = std::ranges::find(kTests, name, &TestEntry::name);
  return found == std::end(kTests) ? nullptr : found->body;
}

Status UnknownTest(Location where, std::string_view name) {
  std::vector<std::string> names;
  for (const TestEntry& entry : kTests) names.emplace_back(entry.name);
  std::vector<std::string> notes;
  if (const auto near = Nearest(name, names)) {
    notes.push_back(fmt::format("did you mean '{}'?", *near));
  }
  return InvalidInput(std::move(where), fmt::format("no test named '{}'", name), std::move(notes));
}

}  // namespace qeff::jinja
