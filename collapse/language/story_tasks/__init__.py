"""Nine tasks in the language of the stories, so that small models can be told from chance offline.

tales        stories with their seams: cut at any choice, begun in a new way
contrast     sets of contexts and answers in which only the context tells the answer
families     how stories are cut for the tasks with answers to choose from
recall       passages whose next word was said before
arithmetic   sums
items        all of it in the fields of the public sets
"""

from collapse.language.story_tasks.items import SPLITS, TASKS, StoryItem, story_items

__all__ = ["SPLITS", "TASKS", "StoryItem", "story_items"]
