// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/parser.h"

#include <algorithm>
#include <array>
#include <set>

#include "lib/chat_template/expression_parser.h"

namespace qeff::jinja {
namespace {

constexpr std::array<std::string_view, 13> kTags = {
    "for",        "if",    "set", "macro",      "call",  "filter", "with",
    "autoescape", "block", "raw", "generation", "print", "include"};

class StatementParser {
 public:
  explicit StatementParser(TokenStream& stream) : stream_(stream), expressions_(stream) {}

  Result<Body> ParseAll() {
    QEFF_ASSIGN_OR_RETURN(Body body, ParseBody({}, nullptr));
    return body;
  }

 private:
  /// Reads statements up to a tag named in `ends`, whose name is then the current token; `opening`
  /// is the tag that needs it. Without ends, reads everything.
  Result<Body> ParseBody(const std::vector<std::string_view>& ends, const Token* opening) {
    const TokenStream::Nesting nesting(stream_);
    if (!nesting.is_allowed()) return stream_.TooDeep();
    Body body;
    for (;;) {
      const Token& token = stream_.current();
      const Place place{token.line, token.column};
      if (token.kind == Token::Kind::kEnd) {
        if (ends.empty()) return body;
        return stream_.Fail(token, fmt::format("expected '{}' before the end", ends.back()),
                            OpeningNote(opening));
      }
      if (token.kind == Token::Kind::kText) {
        body.push_back({place, TextOutput{token.text}});
        stream_.Next();
      } else if (token.kind == Token::Kind::kVariableBegin) {
        stream_.Next();
        QEFF_ASSIGN_OR_RETURN(ExpressionRef value, expressions_.ParseTuple({}));
        QEFF_RETURN_IF_ERROR(stream_.Expect(Token::Kind::kVariableEnd, "}}"));
        body.push_back({place, Output{std::move(value)}});
      } else {
        stream_.Next();
        const Token& name = stream_.current();
        if (name.kind == Token::Kind::kName && std::ranges::find(ends, name.text) != ends.end()) {
          return body;
        }
        QEFF_RETURN_IF_ERROR(ParseStatement(ends, opening, body));
      }
    }
  }

  static std::vector<std::string> OpeningNote(const Token* opening) {
    if (opening == nullptr) return {};
    return {fmt::format("'{}' was opened at {}:{}", opening->text, opening->line, opening->column)};
  }

  Status EndBlock() { return stream_.Expect(Token::Kind::kBlockEnd, "%}"); }

  /// Reads "%} body {% end %}".
  Result<Body> ParseBlock(std::string_view end, const Token& opening) {
    QEFF_RETURN_IF_ERROR(EndBlock());
    QEFF_ASSIGN_OR_RETURN(Body body, ParseBody({end}, &opening));
    stream_.Next();
    return body;
  }

  Status ParseStatement(const std::vector<std::string_view>& ends, const Token* opening,
                        Body& body) {
    const Token tag = stream_.current();
    if (tag.kind != Token::Kind::kName) return stream_.Unexpected("the name of a tag");
    stream_.Next();
    Statement statement{{tag.line, tag.column}, TextOutput{}};
    const std::string& name = tag.text;
    if (name == "for") {
      QEFF_RETURN_IF_ERROR(ParseFor(tag, statement));
    } else if (name == "if") {
      QEFF_RETURN_IF_ERROR(ParseIf(tag, statement));
    } else if (name == "set") {
      QEFF_RETURN_IF_ERROR(ParseSet(tag, statement));
    } else if (name == "print") {
      QEFF_RETURN_IF_ERROR(ParsePrint(statement.place, body));
      return EndBlock();
    } else if (name == "macro") {
      QEFF_RETURN_IF_ERROR(ParseMacro(tag, statement));
    } else if (name == "call") {
      QEFF_RETURN_IF_ERROR(ParseCall(tag, statement));
    } else if (name == "filter") {
      QEFF_ASSIGN_OR_RETURN(ExpressionRef filter, expressions_.ParseBareFilter());
      QEFF_ASSIGN_OR_RETURN(Body inner, ParseHardBlock("endfilter", tag));
      statement.form = FilterStatement{std::move(filter), std::move(inner)};
    } else if (name == "with") {
      QEFF_RETURN_IF_ERROR(ParseWith(tag, statement));
    } else if (name == "autoescape") {
      QEFF_RETURN_IF_ERROR(ParseAutoescape(tag, statement));
    } else if (name == "block") {
      QEFF_RETURN_IF_ERROR(ParseNamedBlock(tag, statement));
    } else if (name == "generation") {
      QEFF_ASSIGN_OR_RETURN(Body inner, ParseHardBlock("endgeneration", tag));
      statement.form = ScopeStatement{.body = std::move(inner)};
    } else if (name == "break" || name == "continue") {
      if (loop_depth_ == 0) {
        return stream_.Fail(tag, fmt::format("'{}' outside of a loop", name));
      }
      statement.form = LoopControl{.is_break = name == "break"};
    } else if (name == "include" || name == "import" || name == "extends" || name == "from") {
      while (stream_.current().kind != Token::Kind::kBlockEnd) stream_.Next();
      statement.form = RefusedStatement{name};
    } else {
      return UnknownTag(tag, ends, opening);
    }
    body.push_back(std::move(statement));
    return EndBlock();
  }

  Status UnknownTag(const Token& tag, const std::vector<std::string_view>& ends,
                    const Token* opening) {
    const std::vector<std::string> known(kTags.begin(), kTags.end());
    if (tag.text.starts_with("end") || tag.text == "else" || tag.text == "elif") {
      if (ends.empty()) return stream_.Fail(tag, fmt::format("'{}' without a block", tag.text));
      return stream_.Fail(
          tag, fmt::format("expected '{}', got '{}'", fmt::join(ends, "' or '"), tag.text),
          OpeningNote(opening));
    }
    std::vector<std::string> notes;
    if (const auto near = Nearest(tag.text, known)) {
      notes.push_back(fmt::format("did you mean '{}'?", *near));
    }
    return stream_.Fail(tag, fmt::format("unknown tag '{}'", tag.text), notes);
  }

  /// Reads "a, b": each is printed.
  Status ParsePrint(const Place& place, Body& body) {
    while (stream_.current().kind != Token::Kind::kBlockEnd) {
      QEFF_ASSIGN_OR_RETURN(ExpressionRef value, expressions_.ParseExpression());
      body.push_back({place, Output{std::move(value)}});
      if (!stream_.SkipOperator(",")) break;
    }
    return Status::Ok();
  }

  /// A block in which an unknown filter is an error at once, even if never reached.
  Result<Body> ParseHardBlock(std::string_view end, const Token& opening) {
    const TokenStream::Softness hard(stream_, false);
    return ParseBlock(end, opening);
  }

  Status ParseFor(const Token& tag, Statement& statement) {
    ForStatement loop;
    QEFF_ASSIGN_OR_RETURN(loop.target, ParseTargets("in"));
    QEFF_RETURN_IF_ERROR(stream_.ExpectName("in"));
    QEFF_ASSIGN_OR_RETURN(loop.iterable, expressions_.ParseTuple({.allows_conditional = false,
                                                                  .stops_at = "recursive"}));
    if (stream_.SkipName("if")) {
      QEFF_ASSIGN_OR_RETURN(loop.condition, expressions_.ParseExpression());
    }
    loop.is_recursive = stream_.SkipName("recursive");
    QEFF_RETURN_IF_ERROR(EndBlock());
    const TokenStream::Softness hard(stream_, false);
    ++loop_depth_;
    QEFF_ASSIGN_OR_RETURN(loop.body, ParseBody({"else", "endfor"}, &tag));
    --loop_depth_;
    const bool has_else = stream_.current().text == "else";
    stream_.Next();
    if (has_else) {
      QEFF_ASSIGN_OR_RETURN(loop.otherwise, ParseBlock("endfor", tag));
    }
    statement.form = std::move(loop);
    return Status::Ok();
  }

  Status ParseIf(const Token& tag, Statement& statement) {
    const TokenStream::Softness soft(stream_, true);
    IfStatement choice;
    for (;;) {
      QEFF_ASSIGN_OR_RETURN(ExpressionRef condition,
                            expressions_.ParseTuple({.allows_conditional = false}));
      QEFF_RETURN_IF_ERROR(EndBlock());
      QEFF_ASSIGN_OR_RETURN(Body body, ParseBody({"elif", "else", "endif"}, &tag));
      choice.branches.emplace_back(std::move(condition), std::move(body));
      const std::string end = stream_.current().text;
      stream_.Next();
      if (end == "elif") continue;
      if (end == "else") {
        QEFF_ASSIGN_OR_RETURN(choice.otherwise, ParseBlock("endif", tag));
      }
      break;
    }
    statement.form = std::move(choice);
    return Status::Ok();
  }

  Status ParseSet(const Token& tag, Statement& statement) {
    SetStatement set;
    QEFF_ASSIGN_OR_RETURN(set.target, ParseTargets(""));
    if (stream_.SkipOperator("=")) {
      QEFF_ASSIGN_OR_RETURN(set.value, expressions_.ParseTuple({}));
    } else {
      if (stream_.IsOperator("|")) {
        QEFF_ASSIGN_OR_RETURN(set.filter, expressions_.ParseFilterChain());
      }
      QEFF_ASSIGN_OR_RETURN(set.body, ParseHardBlock("endset", tag));
    }
    statement.form = std::move(set);
    return Status::Ok();
  }

  /// Reads "a", "a, b", "(a, b)" or "namespace.attribute", up to the name `stop` if there is one.
  Result<Target> ParseTargets(std::string_view stop) {
    const Token& start = stream_.current();
    Target all{.place = {start.line, start.column}};
    for (;;) {
      const bool ends = !stop.empty() && stream_.IsName(stop) && !all.parts.empty();
      if (ends || stream_.IsOperator("=") || stream_.IsOperator(")")) break;
      QEFF_ASSIGN_OR_RETURN(Target target, ParseTarget());
      all.parts.push_back(std::move(target));
      if (!stream_.SkipOperator(",")) break;
      all.is_tuple = true;
    }
    if (all.parts.empty()) return stream_.Unexpected("a name to assign to");
    if (!all.is_tuple) {
      Target only = std::move(all.parts.front());
      return only;
    }
    return all;
  }

  Result<Target> ParseTarget() {
    const TokenStream::Nesting nesting(stream_);
    if (!nesting.is_allowed()) return stream_.TooDeep();
    if (stream_.SkipOperator("(")) {
      QEFF_ASSIGN_OR_RETURN(Target target, ParseTargets(""));
      QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(")"));
      return target;
    }
    const Token token = stream_.current();
    if (token.kind != Token::Kind::kName) return stream_.Unexpected("a name to assign to");
    static const std::set<std::string, std::less<>> kReserved = {"true", "false", "none",
                                                                 "True", "False", "None"};
    if (kReserved.contains(token.text)) {
      return stream_.Fail(token, fmt::format("cannot assign to '{}'", token.text));
    }
    stream_.Next();
    Target target{.place = {token.line, token.column}, .name = token.text};
    if (stream_.SkipOperator(".")) {
      if (stream_.current().kind != Token::Kind::kName) return stream_.Unexpected("an attribute");
      target.attribute = stream_.current().text;
      stream_.Next();
    }
    return target;
  }

  /// Reads "(a, b=1)".
  Status ParseParameters(MacroDefinition& macro) {
    QEFF_RETURN_IF_ERROR(stream_.ExpectOperator("("));
    while (!stream_.SkipOperator(")")) {
      if (!macro.parameters.empty()) QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      if (stream_.SkipOperator(")")) break;
      const Token token = stream_.current();
      QEFF_ASSIGN_OR_RETURN(Target target, ParseTarget());
      if (target.name.empty() || !target.attribute.empty()) {
        return stream_.Fail(token, "expected the name of a parameter");
      }
      Parameter parameter{.name = target.name};
      if (stream_.SkipOperator("=")) {
        QEFF_ASSIGN_OR_RETURN(parameter.default_value, expressions_.ParseExpression());
      } else if (!macro.parameters.empty() && macro.parameters.back().default_value != nullptr) {
        return stream_.Fail(
            token, fmt::format("parameter '{}' without default after one with it", target.name));
      }
      macro.parameters.push_back(std::move(parameter));
    }
    return Status::Ok();
  }

  Result<std::shared_ptr<const MacroDefinition>> ParseMacroBody(
      std::shared_ptr<MacroDefinition> macro, std::string_view end, const Token& tag) {
    const TokenStream::MacroNames names(stream_);
    const int outer_loops = loop_depth_;
    loop_depth_ = 0;
    QEFF_ASSIGN_OR_RETURN(macro->body, ParseHardBlock(end, tag));
    loop_depth_ = outer_loops;
    const auto has_parameter = [&](std::string_view name) {
      return std::ranges::find(macro->parameters, name, &Parameter::name) !=
             macro->parameters.end();
    };
    macro->uses_varargs = names.uses("varargs") && !has_parameter("varargs");
    macro->uses_kwargs = names.uses("kwargs") && !has_parameter("kwargs");
    macro->uses_caller = names.uses("caller") && !has_parameter("caller");
    return {std::move(macro)};
  }

  Status ParseMacro(const Token& tag, Statement& statement) {
    auto macro = std::make_shared<MacroDefinition>();
    QEFF_ASSIGN_OR_RETURN(Target target, ParseTarget());
    if (target.name.empty() || !target.attribute.empty()) {
      return stream_.Fail(tag, "expected the name of the macro");
    }
    macro->name = target.name;
    QEFF_RETURN_IF_ERROR(ParseParameters(*macro));
    QEFF_ASSIGN_OR_RETURN(auto finished, ParseMacroBody(std::move(macro), "endmacro", tag));
    statement.form = MacroStatement{std::move(finished)};
    return Status::Ok();
  }

  Status ParseCall(const Token& tag, Statement& statement) {
    auto caller = std::make_shared<MacroDefinition>();
    caller->name = "caller";
    if (stream_.IsOperator("(")) QEFF_RETURN_IF_ERROR(ParseParameters(*caller));
    CallStatement call;
    QEFF_ASSIGN_OR_RETURN(call.call, expressions_.ParseExpression());
    if (!std::holds_alternative<CallExpression>(call.call->form)) {
      return stream_.Fail(tag, "expected a call, as in '{% call name() %}'");
    }
    QEFF_ASSIGN_OR_RETURN(call.caller, ParseMacroBody(std::move(caller), "endcall", tag));
    statement.form = std::move(call);
    return Status::Ok();
  }

  Status ParseWith(const Token& tag, Statement& statement) {
    WithStatement with;
    while (stream_.current().kind != Token::Kind::kBlockEnd) {
      if (!with.assignments.empty()) QEFF_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      QEFF_ASSIGN_OR_RETURN(Target target, ParseTarget());
      QEFF_RETURN_IF_ERROR(stream_.ExpectOperator("="));
      QEFF_ASSIGN_OR_RETURN(ExpressionRef value, expressions_.ParseExpression());
      with.assignments.emplace_back(std::move(target), std::move(value));
    }
    QEFF_ASSIGN_OR_RETURN(with.body, ParseHardBlock("endwith", tag));
    statement.form = std::move(with);
    return Status::Ok();
  }

  Status ParseAutoescape(const Token& tag, Statement& statement) {
    QEFF_ASSIGN_OR_RETURN(ExpressionRef enabled, expressions_.ParseExpression());
    const Constant* constant = std::get_if<Constant>(&enabled->form);
    if (constant == nullptr || constant->value.IsTrue()) {
      return Unsupported(stream_.PlaceOf(tag), "'autoescape' other than false is not supported");
    }
    QEFF_ASSIGN_OR_RETURN(Body body, ParseHardBlock("endautoescape", tag));
    statement.form = ScopeStatement{.body = std::move(body)};
    return Status::Ok();
  }

  Status ParseNamedBlock(const Token& tag, Statement& statement) {
    const Token name = stream_.current();
    if (name.kind != Token::Kind::kName) return stream_.Unexpected("the name of the block");
    stream_.Next();
    if (!block_names_.insert(name.text).second) {
      return stream_.Fail(name, fmt::format("block '{}' is there twice", name.text));
    }
    const bool is_scoped = stream_.SkipName("scoped");
    const int outer_loops = loop_depth_;
    loop_depth_ = 0;
    QEFF_ASSIGN_OR_RETURN(Body body, ParseHardBlock("endblock", tag));
    loop_depth_ = outer_loops;
    stream_.SkipName(name.text);
    statement.form =
        ScopeStatement{.body = std::move(body), .sees_template_scope_only = !is_scoped};
    return Status::Ok();
  }

  TokenStream& stream_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;
  std::set<std::string> block_names_;
};

}  // namespace

Result<Body> ParseTemplate(std::string_view text, std::string_view path,
                           const WhitespaceOptions& options) {
  QEFF_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text, path, options));
  TokenStream stream(std::move(tokens), std::string(path));
  QEFF_ASSIGN_OR_RETURN(Body body, StatementParser(stream).ParseAll());
  if (!stream.unknown_names().empty()) return Status(stream.unknown_names().front());
  return body;
}

}  // namespace qeff::jinja
