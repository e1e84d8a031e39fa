// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/expression_parser.h"

#include <algorithm>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/value_tests.h"

namespace qeff::jinja {
namespace {

constexpr std::array<std::string_view, 3> kMacroNames = {"varargs", "kwargs", "caller"};

int Height(const ExpressionRef& expression) {
  return expression == nullptr ? 0 : expression->height;
}

int Height(const std::vector<ExpressionRef>& expressions) {
  int height = 0;
  for (const ExpressionRef& expression : expressions) {
    height = std::max(height, Height(expression));
  }
  return height;
}

int Height(const CallArguments& arguments) {
  int height = std::max({Height(arguments.positional), Height(arguments.spread_positional),
                         Height(arguments.spread_keywords)});
  for (const auto& [name, value] : arguments.keywords) height = std::max(height, Height(value));
  return height;
}

Place PlaceOf(const Token& token) { return {token.line, token.column}; }

/// Chains of operators nest without brackets: 'a' + 'b' + ...
constexpr int kMaxHeight = 1000;

template <typename Form>
ExpressionRef Make(Place place, int height_below, Form form) {
  return std::make_unique<Expression>(Expression{place, height_below + 1, std::move(form)});
}

}  // namespace

bool TokenStream::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Next();
  return true;
}

bool TokenStream::SkipOperator(std::string_view symbol) {
  if (!IsOperator(symbol)) return false;
  Next();
  return true;
}

Status TokenStream::Unexpected(std::string_view expected) const {
  const Token& token = current();
  std::string got;
  switch (token.kind) {
    case Token::Kind::kText:
    case Token::Kind::kEnd:
      got = "the end";
      break;
    case Token::Kind::kVariableBegin:
      got = "'{{'";
      break;
    case Token::Kind::kVariableEnd:
      got = "'}}'";
      break;
    case Token::Kind::kBlockBegin:
      got = "'{%'";
      break;
    case Token::Kind::kBlockEnd:
      got = "'%}'";
      break;
    case Token::Kind::kString:
      got = "a string";
      break;
    default:
      got = "'" + token.text + "'";
  }
  return Fail(token, fmt::format("expected {}, got {}", expected, got));
}

Status TokenStream::Expect(Token::Kind kind, std::string_view spelling) {
  if (current().kind != kind) return Unexpected(fmt::format("'{}'", spelling));
  Next();
  return Status::Ok();
}

Status TokenStream::ExpectName(std::string_view name) {
  return SkipName(name) ? Status::Ok() : Unexpected(fmt::format("'{}'", name));
}

Status TokenStream::ExpectOperator(std::string_view symbol) {
  return SkipOperator(symbol) ? Status::Ok() : Unexpected(fmt::format("'{}'", symbol));
}

bool TokenStream::MacroNames::uses(std::string_view name) const {
  const auto found = std::ranges::find(kMacroNames, name);
  return stream_.used_[static_cast<size_t>(found - kMacroNames.begin())];
}

void TokenStream::NoteName(std::string_view name) {
  const auto found = std::ranges::find(kMacroNames, name);
  if (found != kMacroNames.end()) used_[static_cast<size_t>(found - kMacroNames.begin())] = true;
}

Result<ExpressionRef> ExpressionParser::ParseTuple(const TupleOptions& options) {
  const Place place = PlaceOf(stream_.current());
  std::vector<ExpressionRef> items;
  bool is_tuple = false;
  for (;;) {
    const Token::Kind kind = stream_.current().kind;
    const bool ends = kind == Token::Kind::kVariableEnd || kind == Token::Kind::kBlockEnd ||
                      stream_.IsOperator(")") ||
                      (!options.stops_at.empty() && stream_.IsName(options.stops_at));
    if (ends) break;
    QEFF_ASSIGN_OR_RETURN(ExpressionRef item,
                          options.allows_conditional ? ParseExpression() : ParseOr());
    items.push_back(std::move(item));
    if (!stream_.SkipOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && items.size() == 1) return std::move(items.front());
  if (items.empty() && !options.is_in_parentheses) return stream_.Unexpected("an expression");
  const int height = Height(items);
  return Make(place, height, SequenceLiteral{std::move(items), true});
}

Result<ExpressionRef> ExpressionParser::ParseExpression() {
  const TokenStream::Nesting nesting(stream_);
  if (!nesting.is_allowed()) return stream_.TooDeep();
  QEFF_ASSIGN_OR_RETURN(ExpressionRef node, ParseConditional());
  if (node->height > kMaxHeight) {
    return stream_.Fail(stream_.current(),
                        fmt::format("expression of more than {} operators", kMaxHeight));
  }
  return node;
}

Result<ExpressionRef> ExpressionParser::ParseConditional() {
  const Place place = PlaceOf(stream_.current());
  const size_t known_until_here = stream_.unknown_names().size();
  QEFF_ASSIGN_OR_RETURN(ExpressionRef node, ParseOr());
  while (stream_.SkipName("if")) {
    stream_.unknown_names().erase(
        stream_.unknown_names().begin() + static_cast<std::ptrdiff_t>(known_until_here),
        stream_.unknown_names().end());
    const TokenStream::Softness soft(stream_, true);
    QEFF_ASSIGN_OR_RETURN(ExpressionRef condition, ParseOr());
    ExpressionRef otherwise;
    if (stream_.SkipName("else")) {
      QEFF_ASSIGN_OR_RETURN(otherwise, ParseExpression());
    }
    const int height = std::max({Height(node), Height(condition), Height(otherwise)});
    if (height >= kMaxHeight) return stream_.TooDeep();
    node = Make(place, height,
                Conditional{std::move(condition), std::move(node), std::move(otherwise)});
  }
  return node;
}

Result<ExpressionRef> ExpressionParser::ParseOr() {
  const Place place = PlaceOf(stream_.current());
  QEFF_ASSIGN_OR_RETURN(ExpressionRef left, ParseAnd());
  while (stream_.SkipName("or")) {
    QEFF_ASSIGN_OR_RETURN(ExpressionRef right, ParseAnd());
    const int height = std::max(Height(left), Height(right));
    if (height >= kMaxHeight) return stream_.TooDeep();
    left = Make(place, height, LogicalExpression{false, std::move(left), std::move(right)});
  }
  return left;
}

Result<ExpressionRef> ExpressionParser::ParseAnd() {
  const Place place = PlaceOf(stream_.current());
  QEFF_ASSIGN_OR_RETURN(ExpressionRef left, ParseNot());
  while (stream_.SkipName("and")) {
    QEFF_ASSIGN_OR_RETURN(ExpressionRef right, ParseNot());
    const int height = std::max(Height(left), Height(right));
    if (height >= kMaxHeight) return stream_.TooDeep();
    left = Make(place, height, LogicalExpression{true, std::move(left), std::move(right)});
  }
  return left;
}

Result<ExpressionRef> ExpressionParser::ParseNot() {
  if (!stream_.IsName("not")) return ParseComparison();
  const TokenStream::Nesting nesting(stream_);
  if (!nesting.is_allowed()) return stream_.TooDeep();
  const Place place = PlaceOf(stream_.current());
  stream_.Next();
  QEFF_ASSIGN_OR_RETURN(ExpressionRef operand, ParseNot());
  const int height = Height(operand);
  return Make(place, height, UnaryExpression{UnaryExpression::Operator::kNot, std::move(operand)});
}

Result<ExpressionRef> ExpressionParser::ParseComparison() {
  using Operator = Comparison::Operator;
  static constexpr std::pair<std::string_view, Operator> kSymbols[] = {
      {"==", Operator::kEqual},     {"!=", Operator::kNotEqual}, {"<", Operator::kLess},
      {"<=", Operator::kLessEqual}, {">", Operator::kGreater},   {">=", Operator::kGreaterEqual}};
  const Place place = PlaceOf(stream_.current());
  QEFF_ASSIGN_OR_RETURN(ExpressionRef first, ParseSum());
  std::vector<std::pair<Operator, ExpressionRef>> rest;
  int height = Height(first);
  for (;;) {
    std::optional<Operator> op;
    for (const auto& [symbol, candidate] : kSymbols) {
      if (stream_.IsOperator(symbol)) op = candidate;
    }
    if (stream_.IsName("in")) {
      op = Operator::kIn;
    } else if (stream_.IsName("not") && stream_.following().kind == Token::Kind::kName &&
               stream_.following().text == "in") {
      op = Operator::kNotIn;
      stream_.Next();
    }
    if (!op.has_value()) break;
    stream_.Next();
    QEFF_ASSIGN_OR_RETURN(ExpressionRef operand, ParseSum());
    height = std::max(height, Height(operand));
    rest.emplace_back(*op, std::move(operand));
  }
  if (rest.empty()) return first;
  return Make(place, height, Comparison{std::move(first), std::move(rest)});
}

Result<ExpressionRef> ExpressionParser::ParseBinary(
    Step operand, const std::vector<std::pair<std::string_view, BinaryOperator>>& operators) {
  QEFF_ASSIGN_OR_RETURN(ExpressionRef left, (this->*operand)());
  for (;;) {
    const auto found = std::ranges::find_if(
        operators, [&](const auto& entry) { return stream_.IsOperator(entry.first); });
    if (found == operators.end()) return left;
    const Place place = PlaceOf(stream_.current());
    stream_.Next();
    QEFF_ASSIGN_OR_RETURN(ExpressionRef right, (this->*operand)());
    const int height = std::max(Height(left), Height(right));
    if (height >= kMaxHeight) return stream_.TooDeep();
    left = Make(place, height, BinaryExpression{found->second, std::move(left), std::move(right)});
  }
}

Result<ExpressionRef> ExpressionParser::ParseSum() {
  return ParseBinary(&ExpressionParser::ParseConcatenation,
                     {{"+", BinaryOperator::kAdd}, {"-", BinaryOperator::kSubtract}});
}

Result<ExpressionRef> ExpressionParser::ParseConcatenation() {
  const Place place = PlaceOf(stream_.current());
  QEFF_ASSIGN_OR_RETURN(ExpressionRef first, ParseProduct());
  if (!stream_.IsOperator("~")) return first;
  std::vector<ExpressionRef> parts;
  parts.push_back(std::move(first));
  while (stream_.SkipOperator("~")) {
    QEFF_ASSIGN_OR_RETURN(ExpressionRef part, ParseProduct());
    parts.push_back(std::move(part));
  }
  const int height = Height(parts);
  return Make(place, height, Concatenation{std::move(parts)});
}

Result<ExpressionRef> ExpressionParser::ParseProduct() {
  return ParseBinary(&ExpressionParser::ParsePower, {{"*", BinaryOperator::kMultiply},
                                                     {"/", BinaryOperator::kDivide},
                                                     {"//", BinaryOperator::kFloorDivide},
                                                     {"%", BinaryOperator::kModulo}});
}

Result<ExpressionRef> ExpressionParser::ParsePower() {
  return ParseBinary(&ExpressionParser::ParseOperand, {{"**", BinaryOperator::kPower}});
}

Result<ExpressionRef> ExpressionParser::ParseUnary(Filters filters) {
  const TokenStream::Nesting nesting(stream_);
  if (!nesting.is_allowed()) return stream_.TooDeep();
  const Place place = PlaceOf(stream_.current());
  ExpressionRef node;
  if (stream_.IsOperator("-") || stream_.IsOperator("+")) {
    const auto op = stream_.IsOperator("-") ? UnaryExpression::Operator::kNegate
                                            : UnaryExpression::Operator::kPlus;
    stream_.Next();
    QEFF_ASSIGN_OR_RETURN(ExpressionRef operand, ParseUnary(Filters::kNo));
    const int height = Height(operand);
    node = Make(place, height, UnaryExpression{op, std::move(operand)});
  } else {
    QEFF_ASSIGN_OR_RETURN(node, ParsePrimary());
  }
  QEFF_ASSIGN_OR_RETURN(node, ParsePostfix(std::move(node)));
  if (filters == Filters::kNo) return node;
  return ParseFiltersAndTests(std::move(node));
}

Result<ExpressionRef> ExpressionParser::ParsePrimary() {
  const Token token = stream_.current();
  const Place place = PlaceOf(token);
  if (token.kind == Token::Kind::kName) {
    stream_.Next();
    if (token.text == "true" || token.text == "True") {
      return Make(place, 0, Constant{Value::FromBool(true)});
    }
    if (token.text == "false" || token.text == "False") {
      return Make(place, 0, Constant{Value::FromBool(false)});
    }
    if (token.text == "none" || token.text == "None") return Make(place, 0, Constant{});
    stream_.NoteName(token.text);
    return Make(place, 0, Name{token.text});
  }
  if (token.kind == Token::Kind::kString) {
    std::string text;
    for (; stream_.current().kind == Token::Kind::kString; stream_.Next()) {
      text += stream_.current().text;
    }
    return Make(place, 0, Constant{Value::FromText(std::move(text))});
  }
  if (token.kind == Token::Kind::kNumber) {
    stream_.Next();
    return Make(place, 0, Constant{token.number});
  }
  if (stream_.SkipOperator("(")) {
    QEFF_ASSIGN_OR_RETURN(ExpressionRef node, ParseTuple({.is_in_parentheses = true}));
    QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(")"));
    return node;
  }
  if (stream_.IsOperator("[")) return ParseList();
  if (stream_.IsOperator("{")) return ParseDictionary();
  return stream_.Unexpected("an expression");
}

Result<ExpressionRef> ExpressionParser::ParseList() {
  const Place place = PlaceOf(stream_.current());
  stream_.Next();
  std::vector<ExpressionRef> items;
  while (!stream_.SkipOperator("]")) {
    if (!items.empty()) QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(","));
    if (stream_.SkipOperator("]")) break;
    QEFF_ASSIGN_OR_RETURN(ExpressionRef item, ParseExpression());
    items.push_back(std::move(item));
  }
  const int height = Height(items);
  return Make(place, height, SequenceLiteral{std::move(items), false});
}

Result<ExpressionRef> ExpressionParser::ParseDictionary() {
  const Place place = PlaceOf(stream_.current());
  stream_.Next();
  DictionaryLiteral dictionary;
  int height = 0;
  while (!stream_.SkipOperator("}")) {
    if (!dictionary.entries.empty()) QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(","));
    if (stream_.SkipOperator("}")) break;
    QEFF_ASSIGN_OR_RETURN(ExpressionRef key, ParseExpression());
    QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(":"));
    QEFF_ASSIGN_OR_RETURN(ExpressionRef value, ParseExpression());
    height = std::max({height, Height(key), Height(value)});
    dictionary.entries.emplace_back(std::move(key), std::move(value));
  }
  return Make(place, height, std::move(dictionary));
}

Result<ExpressionRef> ExpressionParser::ParsePostfix(ExpressionRef node) {
  for (;;) {
    const int height = Height(node);
    if (height >= kMaxHeight) return stream_.TooDeep();
    const Place place = PlaceOf(stream_.current());
    if (stream_.SkipOperator(".")) {
      const Token token = stream_.current();
      stream_.Next();
      if (token.kind == Token::Kind::kName) {
        node = Make(place, height, AttributeAccess{std::move(node), token.text});
      } else if (token.kind == Token::Kind::kNumber && token.number.is_integer()) {
        node =
            Make(place, height, Subscript{std::move(node), Make(place, 0, Constant{token.number})});
      } else {
        return stream_.Fail(token, "expected a name or a number after '.'");
      }
    } else if (stream_.SkipOperator("[")) {
      QEFF_ASSIGN_OR_RETURN(node, ParseSubscript(std::move(node)));
    } else if (stream_.IsOperator("(")) {
      QEFF_ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
      const int total = std::max(height, Height(arguments));
      node = Make(place, total, CallExpression{std::move(node), std::move(arguments)});
    } else {
      return node;
    }
  }
}

Result<ExpressionRef> ExpressionParser::ParseSubscript(ExpressionRef node) {
  const Place place = PlaceOf(stream_.current());
  SliceAccess slice;
  ExpressionRef* const bounds[] = {&slice.start, &slice.stop, &slice.step};
  size_t colons = 0;
  while (!stream_.IsOperator("]")) {
    if (stream_.IsOperator(":") && colons < 2) {
      stream_.Next();
      ++colons;
      continue;
    }
    if (*bounds[colons] != nullptr) {
      if (!stream_.IsOperator(",") || colons != 0) return stream_.Unexpected("']'");
      break;  // a tuple as key
    }
    QEFF_ASSIGN_OR_RETURN(*bounds[colons], ParseExpression());
  }
  ExpressionRef index = std::move(slice.start);
  if (stream_.IsOperator(",")) {
    std::vector<ExpressionRef> items;
    items.push_back(std::move(index));
    while (stream_.SkipOperator(",")) {
      if (stream_.IsOperator("]")) break;
      QEFF_ASSIGN_OR_RETURN(ExpressionRef item, ParseExpression());
      items.push_back(std::move(item));
    }
    const int height = Height(items);
    index = Make(place, height, SequenceLiteral{std::move(items), true});
  }
  QEFF_RETURN_IF_ERROR(stream_.ExpectOperator("]"));
  int height = std::max(Height(node), Height(index));
  if (colons == 0) {
    if (index == nullptr) return stream_.Fail(stream_.current(), "expected an index inside '[]'");
    return Make(place, height, Subscript{std::move(node), std::move(index)});
  }
  height = std::max({height, Height(slice.stop), Height(slice.step)});
  slice.object = std::move(node);
  slice.start = std::move(index);
  return Make(place, height, std::move(slice));
}

Result<CallArguments> ExpressionParser::ParseArguments() {
  QEFF_RETURN_IF_ERROR(stream_.ExpectOperator("("));
  CallArguments arguments;
  bool is_first = true;
  while (!stream_.SkipOperator(")")) {
    if (!is_first) QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(","));
    is_first = false;
    if (stream_.SkipOperator(")")) break;
    const Token token = stream_.current();
    const bool is_keyword = token.kind == Token::Kind::kName &&
                            stream_.following().kind == Token::Kind::kOperator &&
                            stream_.following().text == "=";
    if (stream_.SkipOperator("*")) {
      if (arguments.spread_positional != nullptr || arguments.spread_keywords != nullptr) {
        return stream_.Fail(token, "'*' is there twice, or after '**'");
      }
      QEFF_ASSIGN_OR_RETURN(arguments.spread_positional, ParseExpression());
    } else if (stream_.SkipOperator("**")) {
      if (arguments.spread_keywords != nullptr) return stream_.Fail(token, "'**' is there twice");
      QEFF_ASSIGN_OR_RETURN(arguments.spread_keywords, ParseExpression());
    } else if (is_keyword && arguments.spread_keywords == nullptr) {
      stream_.Next();
      stream_.Next();
      if (std::ranges::any_of(arguments.keywords,
                              [&](const auto& entry) { return entry.first == token.text; })) {
        return stream_.Fail(token, fmt::format("argument '{}' is there twice", token.text));
      }
      QEFF_ASSIGN_OR_RETURN(ExpressionRef value, ParseExpression());
      arguments.keywords.emplace_back(token.text, std::move(value));
    } else {
      if (!arguments.keywords.empty() || arguments.spread_positional != nullptr ||
          arguments.spread_keywords != nullptr) {
        return stream_.Fail(token, "a positional argument cannot follow a keyword or '*'");
      }
      QEFF_ASSIGN_OR_RETURN(ExpressionRef value, ParseExpression());
      arguments.positional.push_back(std::move(value));
    }
  }
  return arguments;
}

Result<ExpressionRef> ExpressionParser::ParseFiltersAndTests(ExpressionRef node) {
  for (;;) {
    if (Height(node) >= kMaxHeight) return stream_.TooDeep();
    if (stream_.IsOperator("|")) {
      stream_.Next();
      QEFF_ASSIGN_OR_RETURN(node, ParseFilter(std::move(node)));
    } else if (stream_.SkipName("is")) {
      QEFF_ASSIGN_OR_RETURN(node, ParseTest(std::move(node)));
    } else if (stream_.IsOperator("(")) {  // the result of a filter, called
      const Place place = PlaceOf(stream_.current());
      QEFF_ASSIGN_OR_RETURN(CallArguments arguments, ParseArguments());
      const int height = std::max(Height(node), Height(arguments));
      node = Make(place, height, CallExpression{std::move(node), std::move(arguments)});
    } else {
      return node;
    }
  }
}

Result<std::string> ExpressionParser::ParseDottedName() {
  if (stream_.current().kind != Token::Kind::kName) return stream_.Unexpected("a name");
  std::string name = stream_.current().text;
  stream_.Next();
  while (stream_.SkipOperator(".")) {
    if (stream_.current().kind != Token::Kind::kName) return stream_.Unexpected("a name");
    name += "." + stream_.current().text;
    stream_.Next();
  }
  return name;
}

Result<ExpressionRef> ExpressionParser::ParseFilter(ExpressionRef value) {
  const Token token = stream_.current();
  QEFF_ASSIGN_OR_RETURN(std::string name, ParseDottedName());
  if (!stream_.is_soft() && FindFilter(name) == nullptr) {
    stream_.unknown_names().push_back(UnknownFilter(stream_.PlaceOf(token), name).diagnostic());
  }
  CallArguments arguments;
  if (stream_.IsOperator("(")) {
    QEFF_ASSIGN_OR_RETURN(arguments, ParseArguments());
  }
  const int height = std::max(Height(value), Height(arguments));
  return Make(PlaceOf(token), height,
              FilterExpression{std::move(value), std::move(name), std::move(arguments)});
}

Result<ExpressionRef> ExpressionParser::ParseBareFilter() {
  QEFF_ASSIGN_OR_RETURN(ExpressionRef node, ParseFilter(nullptr));
  if (!stream_.IsOperator("|")) return node;
  return ParseFiltersAndTests(std::move(node));
}

Result<ExpressionRef> ExpressionParser::ParseFilterChain() {
  QEFF_RETURN_IF_ERROR(stream_.ExpectOperator("|"));
  return ParseBareFilter();
}

Result<ExpressionRef> ExpressionParser::ParseTest(ExpressionRef value) {
  TestExpression test;
  test.is_negated = stream_.SkipName("not");
  const Token token = stream_.current();
  QEFF_ASSIGN_OR_RETURN(test.name, ParseDottedName());
  if (!stream_.is_soft() && FindTest(test.name) == nullptr) {
    stream_.unknown_names().push_back(UnknownTest(stream_.PlaceOf(token), test.name).diagnostic());
  }
  const Token& next = stream_.current();
  const bool is_operand = (next.kind == Token::Kind::kName && next.text != "else" &&
                           next.text != "or" && next.text != "and") ||
                          next.kind == Token::Kind::kString || next.kind == Token::Kind::kNumber ||
                          stream_.IsOperator("[") || stream_.IsOperator("{");
  if (stream_.IsOperator("(")) {
    QEFF_ASSIGN_OR_RETURN(test.arguments, ParseArguments());
  } else if (is_operand) {
    if (next.text == "is" && next.kind == Token::Kind::kName) {
      return stream_.Fail(next, "tests with 'is' cannot be chained");
    }
    QEFF_ASSIGN_OR_RETURN(ExpressionRef argument, ParsePrimary());
    QEFF_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    test.arguments.positional.push_back(std::move(argument));
  }
  const int height = std::max(Height(value), Height(test.arguments));
  test.value = std::move(value);
  return Make(PlaceOf(token), height, std::move(test));
}

}  // namespace qeff::jinja
