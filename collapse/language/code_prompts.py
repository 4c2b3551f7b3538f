"""The 52 openings that code models are asked to go on with, written for this project (R4.3).

Each is the beginning of a Python file, without the newline that would end its last line, and each
can be completed: to some continuation, prompt and continuation together are Python.
"""

CODE_PROMPTS: tuple[str, ...] = (
    # Functions
    "def celsius_from_fahrenheit(degrees):",
    "def count_vowels(sentence):",
    "def largest_of_three(first, second, third):",
    "def is_leap_year(year):",
    "def factorial(number):\n    if number <= 1:",
    "def greet(name, greeting='Hello'):",
    "def average(*values):",
    "def clamp(value: float, low: float, high: float) -> float:",
    "def swap_keys_and_values(mapping):\n    swapped = {}",
    "def read_settings(path):\n    with open(path) as file:",
    # Functions that say what they do
    'def area_of_circle(radius):\n    """Return the area of a circle',
    'def split_into_words(line):\n    """Split a line at its spaces.\n\n    Args:',
    'def distance(start, end):\n    """Distance between two points in the plane."""',
    # Classes
    "class Rectangle:",
    "class BankAccount:\n    def __init__(self, owner, balance=0):",
    "class Oven:\n    def __init__(self, kelvin):\n        self.kelvin = kelvin\n\n    @property",
    "class Shape:\n    def area(self):\n        raise NotImplementedError\n\n\nclass Disc(Shape):",
    "class TooManyGuests(Exception):",
    "class Playlist:\n    def __init__(self):\n        self.songs = []\n\n    def __len__(self):",
    "class Counter:\n    total = 0\n\n    @classmethod\n    def increase(cls):",
    # Loops
    "for index in range(10):",
    "for name, age in people.items():",
    "for line in file:\n    line = line.strip()\n    if not line:",
    "total = 0\nfor price in prices:",
    "while queue:\n    item = queue.pop()",
    "attempts = 0\nwhile attempts < 3:",
    "for row, values in enumerate(table):\n    for column, value in enumerate(values):",
    # Conditions
    "if temperature > 30:",
    "if not os.path.exists(folder):",
    "if answer == 'yes':\n    confirmed = True\nelif answer == 'no':",
    "if isinstance(value, str):\n    value = [value]\nelse:",
    # Comprehensions, lambdas and expressions
    "squares = [n * n for n in",
    "lengths = {word: len(word) for word in",
    "evens = list(filter(lambda number:",
    "people.sort(key=lambda person:",
    "largest = max(values) if values else",
    "message = 'There are {} apples and {} pears'.format(",
    # Imports
    "import os\nimport sys",
    "from pathlib import Path",
    "import json\nfrom datetime import",
    "import numpy as np\n\nmatrix = np.zeros(",
    # Decorators
    "import functools\n\n\ndef timed(function):\n    @functools.wraps(function)",
    "from dataclasses import dataclass\n\n\n@dataclass\nclass Book:",
    "import pytest\n\n\n@pytest.mark.parametrize(",
    # Errors and resources
    "try:\n    number = int(text)",
    "try:\n    connection = connect(address)\nexcept TimeoutError:",
    "if quantity < 0:\n    raise ValueError(",
    "with open('report.txt', 'w') as output:",
    # Dictionaries, generators, coroutines, scripts
    "capitals = {\n    'France': 'Paris',",
    "def countdown(start):\n    while start > 0:\n        yield",
    "import asyncio\n\n\nasync def fetch_all(addresses):",
    "def main():\n    parser = argparse.ArgumentParser()",
)
