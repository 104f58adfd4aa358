import english from "../../locales/en/main.json";
import type { Answer, Contribution, Entry, News, Shell, ShellEvents } from "../src/shell";

/** A shell whose server says what the test says. */
export class FakeShell implements Shell {
  answer: Answer = { kind: "unreachable" };
  posted: [string, object][] = [];
  asked: string[] = [];
  shown = true;
  language = "en";
  texts: Record<string, unknown> = { en: english };
  /** What single routes answer; all others `answer`. */
  routes: Record<string, Answer> = {};
  entries: (Entry | null)[] = [];
  toasts: News[] = [];
  toggled = 0;
  standalone = false;
  marks: (string | null)[] = [];
  contribution!: Contribution;
  private readonly listeners: [string, (data: never) => void][] = [];

  clientId = (): string | null => "me";
  get = (route: string): Promise<Answer> => {
    this.asked.push(route);
    return Promise.resolve(this.routes[route.replace(/\?.*/, "")] ?? this.answer);
  };
  post = (route: string, body: object): Promise<Answer> => {
    this.posted.push([route, body]);
    return Promise.resolve(this.routes[`POST ${route}`] ?? this.answer);
  };
  on<K extends keyof ShellEvents>(event: K, listener: (data: ShellEvents[K]) => void): () => void {
    this.listeners.push([event, listener as (data: never) => void]);
    return () => undefined;
  }
  locale = (): string => this.language;
  translations = (): Promise<Record<string, unknown>> => Promise.resolve(this.texts);
  active = (): boolean => this.shown;
  present(contribution: Contribution): void {
    this.contribution = contribution;
  }
  badge(mark: string | null): void {
    this.marks.push(mark);
  }
  entry(entry: Entry | null): void {
    this.entries.push(entry);
  }
  /** What the user was asked, and what is answered. */
  questions: [string, string, string[]][] = [];
  agrees = true;
  confirm = (...question: [string, string, string[]]): Promise<boolean> => (this.questions.push(question), Promise.resolve(this.agrees));
  toast(news: News): void {
    this.toasts.push(news);
  }
  toggle(): void {
    this.toggled++;
  }

  tell<K extends keyof ShellEvents>(event: K, data: ShellEvents[K]): void {
    for (const [name, listener] of this.listeners) if (name === event) listener(data as never);
  }
}
